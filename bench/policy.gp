# policy.gp: cost by strategy for every workload, and regret over time, a panel each.
# Called as: gnuplot -c bench/policy.gp DATA PNG WORKLOADS 'NAME|NAME...'; DATA has a block of costs,
# a row per strategy and a column per workload, then one block per workload with seconds first.
data = ARG1
count = int(ARG3)
names = ARG4
rows = 1 + (count + 3) / 4
set terminal pngcairo size 2400,500*rows font "sans,12" noenhanced
set output ARG2
set grid
set multiplot
set origin 0, (rows - 1.0) / rows
set size 1, 1.0 / rows
set title "Cost over the best fixed strategy's, after the warm-up"
set key outside right top
set logscale y 2
set ytics (1, 1.05, 1.1, 1.2, 1.5, 2, 3, 4, 6, 8)
plot for [i=2:count+1] data index 0 using 0:i:xtic(1) with linespoints lw 2 title columnheader(i)
unset logscale y
set ytics auto
set key inside right top
set xlabel "seconds"
do for [p=0:count-1] {
	cut = strstrt(names, "|")
	name = cut > 0 ? names[1:cut-1] : names
	names = cut > 0 ? names[cut+1:*] : ""
	set origin 0.25 * (p % 4), (rows - 2.0 - p / 4) / rows
	set size 0.25, 1.0 / rows
	set yrange [0.8:2]
	set title sprintf("%s: cost since the start over the best fixed strategy's", name)
	stats data index p + 1 skip 1 using 1 nooutput
	columns = STATS_columns
	plot for [i=2:columns] data index p + 1 using 1:i with lines lw 2 title columnheader(i)
}
unset multiplot
