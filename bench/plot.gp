# plot.gp: time and peak resident memory of every test, relative to glibc.
# Called as: gnuplot -c bench/plot.gp DATA PNG COLUMNS; DATA has two blocks
# (time, memory), a header line each, and one column per allocator.
data = ARG1
set terminal pngcairo size 2600,1500 font "sans,12" noenhanced
set output ARG2
last = int(ARG3) + 1
set style data histograms
set style histogram clustered gap 1.5
set style fill solid 0.9 border -1
set boxwidth 1.0
set grid ytics
set xtics rotate by -40 scale 0
set key outside right top
set logscale y 2
set yrange [*<0.25:4<*]
set bmargin 9
set multiplot layout 2,1
set ylabel "time / glibc's (less is better)"
set title "Time"
plot for [i=2:last] data index 0 using i:xtic(1) title columnheader(i)
set ylabel "peak RSS / glibc's (less is better)"
set title "Peak resident memory"
plot for [i=2:last] data index 1 using i:xtic(1) title columnheader(i)
unset multiplot
