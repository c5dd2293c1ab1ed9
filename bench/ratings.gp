# ratings.gp: the ratings of the twelve strategies over time, a panel per workload.
# Called as: gnuplot -c bench/ratings.gp DATA PNG PANELS 'NAME|NAME...'; a block of DATA per panel.
data = ARG1
count = int(ARG3)
names = ARG4
rows = (count + 3) / 4
set terminal pngcairo size 2400,500*rows font "sans,12" noenhanced
set output ARG2
set grid
set key outside right top
set xlabel "seconds"
set multiplot layout rows,(count < 4 ? count : 4)
do for [p=0:count-1] {
	cut = strstrt(names, "|")
	name = cut > 0 ? names[1:cut-1] : names
	names = cut > 0 ? names[cut+1:*] : ""
	set title sprintf("%s: ratings", name)
	plot for [i=2:13] data index p using 1:i with lines lw 2 title columnheader(i)
}
unset multiplot
