# bars.gp: groups of bars, one group per line of DATA and one bar per column, on a logarithmic axis.
# Called as: gnuplot -c bench/bars.gp DATA PNG COLUMNS LABEL; DATA has a header line.
set terminal pngcairo size 2000,800 font "sans,12" noenhanced
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
set yrange [0.5:*]
set bmargin 8
set ylabel ARG4
plot for [i=2:last] ARG1 using i:xtic(1) title columnheader(i)
