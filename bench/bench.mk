# Benchmarks: programs in bench/bench_*.c, run side by side under several
# allocators by bench/runner.py.
#
#   make bench           everything, about 20 minutes
#   make bench-quick     shorter runs and fewer of them, 3 minutes
#   make bench-scenarios large blocks in steady state, against no allocator, 6 minutes
#   make bench-idle      memory of programs that have freed most of theirs, 5 minutes
#   make bench-purge     what giving memory back costs, 8 minutes
#   make bench-harden    what checks and hardening cost, 5 minutes
#   make bench-policy    every strategy for big freed blocks, and the learned one, 25 minutes
#   make policy-sim      the learned policy and other ways to learn, on a model, 1 minute
#   make bench-servers   memory and throughput of real servers, 10 minutes
#   make instructions    instructions per malloc and free, by callgrind
#
#   BENCH_LIBS='name=path ...'   more allocators beside the default ones
#   BENCH_ARGS='...'             more options, see bench/runner.py --help
#
# Results are in build/bench: results.json, report.md, report.png.

BENCH_BIN := build/bench/$(CC)
BENCH_SRC := $(wildcard bench/bench_*.c)
BENCH_PROGRAMS := $(BENCH_SRC:bench/%.c=$(BENCH_BIN)/%)
# The compiler must neither delete a malloc and free pair nor merge calls.
BENCH_CFLAGS := -std=gnu11 -O2 -g $(WARN) -fno-builtin-malloc -fno-builtin-calloc \
	-fno-builtin-realloc -fno-builtin-free
BENCH_RUN := BENCH_LIBS='$(BENCH_LIBS)' bench/runner.py --programs $(BENCH_BIN) \
	--hakmem $(LIB_SO)

BENCH_TOOL = BENCH_LIBS='$(BENCH_LIBS)' bench/$(@:bench-%=%).py --programs $(BENCH_BIN) \
	--hakmem $(LIB_SO) $(BENCH_ARGS)

.PHONY: bench bench-quick bench-scenarios bench-idle bench-purge bench-servers bench-harden bench-programs bench-packages instructions

bench-programs: $(BENCH_PROGRAMS)

BENCH_SHARED := common residency
BENCH_HEADERS := $(BENCH_SHARED:%=bench/%.h)
BENCH_OBJ := $(BENCH_SHARED:%=$(BENCH_BIN)/%.o)

$(BENCH_OBJ): $(BENCH_BIN)/%.o: bench/%.c $(BENCH_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -c -o $@ $<

$(BENCH_BIN)/bench_%: bench/bench_%.c $(BENCH_HEADERS) $(BENCH_OBJ)
	$(CC) $(BENCH_CFLAGS) -o $@ $< $(BENCH_OBJ) -lpthread

bench-packages:
	@bench/packages.sh

bench: bench-packages $(LIB_SO) bench-programs
	@$(BENCH_RUN) $(BENCH_ARGS)

bench-quick: bench-packages $(LIB_SO) bench-programs
	@$(BENCH_RUN) --quick $(BENCH_ARGS)

bench-scenarios bench-idle bench-purge bench-servers: bench-packages $(LIB_SO) bench-programs
	@$(BENCH_TOOL)

bench-harden: bench-packages $(LIB_SO) secure bench-programs
	+@$(MAKE) --no-print-directory BUILD=unchecked build/$(CC)-unchecked/libhakmem.so
	@$(BENCH_TOOL) --unchecked build/$(CC)-unchecked/libhakmem.so

instructions: bench-packages $(LIB_SO) bench-programs
	@BENCH_LIBS='$(BENCH_LIBS)' bench/instructions.py --programs $(BENCH_BIN) \
		--hakmem $(LIB_SO)
