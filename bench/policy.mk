# The policy for big freed blocks: bench_policy under every strategy, and the recorder of traces.

POLICY_SHARED := policy_work policy_schedule policy_trace policy_replay policy_ratings
POLICY_OBJ := $(POLICY_SHARED:%=$(BENCH_BIN)/%.o)

$(POLICY_OBJ): $(BENCH_BIN)/%.o: bench/%.c $(POLICY_SHARED:%=bench/%.h) $(BENCH_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -Iinclude -c -o $@ $<

$(BENCH_BIN)/bench_policy: bench/bench_policy.c $(POLICY_SHARED:%=bench/%.h) $(BENCH_HEADERS) $(BENCH_OBJ) $(POLICY_OBJ)
	$(CC) $(BENCH_CFLAGS) -o $@ $< $(BENCH_OBJ) $(POLICY_OBJ) -lpthread -ldl

$(BENCH_BIN)/trace_record.so: bench/trace_record.c
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -fno-builtin -fPIC -shared -o $@ $< -ldl -lpthread

.PHONY: bench-policy policy-sim trace-redis

# POLICY_ROUNDS=1 for a look; BENCH_ARGS=--quick: four of the twelve fixed strategies.
bench-policy: bench-packages $(LIB_SO) bench-programs
	@$(BENCH_TOOL)

# ELO against other ways to learn, on a model: a minute.
policy-sim: bench-packages $(LIB_SO) $(BENCH_BIN)/policy_sim $(BENCH_BIN)/bench_policy $(BENCH_BIN)/trace_record.so
	@bench/policy_sim.sh $(BENCH_BIN) $(LIB_SO) build/bench $(SIM_ARGS)

# Records the committed trace anew.
trace-redis: $(BENCH_BIN)/trace_record.so
	bench/trace_redis.sh $< bench/traces/redis.trace.xz

# The library's own ratings, estimates and sites, as they are, in a model of its pool.
SIM_OBJ := $(patsubst %,$(BENCH_BIN)/%.o,policy_sim policy_players policy_model)
SIM_LIB := $(patsubst %,$(B)/src/policy/%.o,elo estimate contest learner patience world site)

$(SIM_OBJ): $(BENCH_BIN)/%.o: bench/%.c $(wildcard bench/policy_*.h src/policy/*.h) $(BENCH_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -Isrc -c -o $@ $<

$(BENCH_BIN)/policy_sim: $(SIM_OBJ) $(SIM_LIB) $(BENCH_BIN)/policy_trace.o $(BENCH_OBJ)
	$(CC) -o $@ $^ -lm -lpthread
