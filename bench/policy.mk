# The policy for big freed blocks: bench_policy under every strategy, and the recorder of traces.

POLICY_SHARED := policy_work policy_schedule policy_trace
POLICY_OBJ := $(POLICY_SHARED:%=$(BENCH_BIN)/%.o)

$(POLICY_OBJ): $(BENCH_BIN)/%.o: bench/%.c $(POLICY_SHARED:%=bench/%.h) $(BENCH_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -c -o $@ $<

$(BENCH_BIN)/bench_policy: bench/bench_policy.c $(POLICY_SHARED:%=bench/%.h) $(BENCH_HEADERS) $(BENCH_OBJ) $(POLICY_OBJ)
	$(CC) $(BENCH_CFLAGS) -o $@ $< $(BENCH_OBJ) $(POLICY_OBJ) -lpthread

$(BENCH_BIN)/trace_record.so: bench/trace_record.c
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -fno-builtin -fPIC -shared -o $@ $< -ldl -lpthread

.PHONY: bench-policy trace-redis

# POLICY_ROUNDS=1 for a look; BENCH_ARGS=--quick: four of the twelve fixed strategies.
bench-policy: bench-packages $(LIB_SO) bench-programs
	@$(BENCH_TOOL)

# Records the committed trace anew.
trace-redis: $(BENCH_BIN)/trace_record.so
	bench/trace_redis.sh $< bench/traces/redis.trace.xz
