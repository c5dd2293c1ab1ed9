# Placement on nodes, as a table and a plot: here if there are several, else emulated.
#
#   make bench-numa    [BENCH_NUMA=--emulated]

.PHONY: bench-numa

bench-numa: bench-packages all $(BENCH_BIN)/bench_numa
	@bench/bench-numa $(BENCH_NUMA)
