# idle.gp: memory over time after a burst, one panel per family.
# Called as: gnuplot -c bench/idle.gp DATA PNG COLUMNS 'TITLE|TITLE...'; DATA has one block per
# family, a header line each, and one column per allocator after the seconds.
data = ARG1
last = int(ARG3) + 1
titles = ARG4
panels = 1
do for [i=1:strlen(titles)] { if (titles[i:i] eq "|") { panels = panels + 1 } }
rows = (panels + 1) / 2
set terminal pngcairo size 1800,450*rows font "sans,12" noenhanced
set output ARG2
set grid
set key outside right top
set xlabel "seconds after the last free"
set yrange [0:*]
set multiplot layout rows,(panels > 1 ? 2 : 1)
do for [p=1:panels] {
	cut = strstrt(titles, "|")
	title = cut > 0 ? titles[1:cut-1] : titles
	titles = cut > 0 ? titles[cut+1:*] : ""
	set title title
	plot for [i=2:last] data index p-1 using 1:i with linespoints lw 2 title columnheader(i)
}
unset multiplot
