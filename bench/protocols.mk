# The price of the library's protocols, in cycles of the time stamp counter, on its own
# functions: unlike the other benchmarks, this one is linked with the library's objects.
#
#   make bench-protocols [PROTOCOLS_ARGS='rounds=401']

.PHONY: bench-protocols

PROTOCOLS_SRC := bench/bench_protocols.c bench/protocols.c

$(BENCH_BIN)/bench_protocols: $(PROTOCOLS_SRC) bench/protocols.h bench/common.h $(BENCH_BIN)/common.o $(AOBJ)
	$(Q)$(CC) $(CFLAGS) -Isrc $(LDFLAGS) -o $@ $(PROTOCOLS_SRC) $(BENCH_BIN)/common.o $(AOBJ) $(LDLIBS)

bench-protocols: $(BENCH_BIN)/bench_protocols
	@$< $(PROTOCOLS_ARGS)
