# model.mk: builds the models with the explorer and the library's own code, for this CC.
#
#   make model                         all models, and all orders they are to prove, weakened
#   make model MODEL_ONLY=inbox        one of them
#   build/gcc-model/models             what else can be asked of them
#
# The library and the models are compiled as for ThreadSanitizer, with small limits; what the
# compiler then calls at every access is the explorer's.

MODELS := litmus inbox slices granules guard pages reap heaps leave leases clock pause regions topology begin share sites

.PHONY: model stress-selftest

M := build/$(CC)-model
MODEL_ONLY ?=
MODEL_BIN := $(M)/models

MODEL_EXPLORER := explore stacks memory races undo hooks sites main os
MODEL_SRC := $(filter-out $(MODEL_EXPLORER:%=stress/model/%.c),$(wildcard stress/model/*.c))
MODEL_LIB := $(filter-out src/api/% $(PLUGIN_SRC) src/base/os.c src/base/os_numa.c src/base/check.c,$(SRC))

MODEL_FLAGS := $(COMMON) -Isrc -Istress/model -DHAK_DEBUG=1 -DHAK_TINY=1 -DHAK_SANITIZE=1
MODEL_SEEN := -O1 -fno-builtin -fsanitize=thread
MODEL_RENAMED := $(foreach f,memcpy memmove memset sched_yield dlopen dlsym pthread_key_create \
	pthread_setspecific,--redefine-sym $(f)=model_$(f))

$(M)/seen/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  MODEL $@")
	$(Q)$(CC) $(MODEL_FLAGS) $(MODEL_SEEN) -MMD -MP -c -o $@ $<
	$(Q)objcopy $(MODEL_RENAMED) $@

$(M)/%.o: stress/model/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  MODEL $@")
	$(Q)$(CC) $(MODEL_FLAGS) -O2 -MMD -MP -c -o $@ $<

# What of the kernel no model needs is not there: a model that calls it crashes.
$(MODEL_BIN): $(MODEL_EXPLORER:%=$(M)/%.o) $(MODEL_SRC:%.c=$(M)/seen/%.o) $(MODEL_LIB:%.c=$(M)/seen/%.o)
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) -no-pie -Wl,--unresolved-symbols=ignore-in-object-files -o $@ $^

# Every execution of every model; and every order that one is to prove, weakened.
group_models = --group model --say --timeout 240 $(foreach m,$(or $(MODEL_ONLY),$(MODELS)),"$(MODEL_BIN) $(1) $(m)")

model: $(MODEL_BIN)
	@tests/run -j 2 -o $(M)/log $(call group_models,weaken)

# A mistake in each lock-free structure, and who notices.
stress-selftest:
	@stress/selftest.sh

-include $(wildcard $(M)/*.d $(M)/seen/*/*.d $(M)/seen/*/*/*.d)
