# stress.mk: builds stress/stress_*.c for this CC and BUILD and runs them.
#
#   make stress BUILD=tsan CC=clang STRESS_S=5 [STRESS_THREADS=4] [STRESS_SEED=n] [STRESS_ONLY="mixed heap"]
#
# stress-programs only builds them.

STRESS_S ?= 5
STRESS_THREADS ?= 4
STRESS_SEED ?=
STRESS_ONLY ?=

STRESS_SRC := $(sort $(wildcard stress/*.c))
STRESS_MAIN := $(filter stress/stress_%.c,$(STRESS_SRC))
STRESS_COMMON := $(patsubst %.c,$(B)/%.o,$(filter-out $(STRESS_MAIN),$(STRESS_SRC)))
STRESS_BIN := $(STRESS_MAIN:%.c=$(B)/%)
# These test a structure alone: they call internal functions, which the archive does not show.
STRESS_INSIDE := $(filter $(B)/stress/stress_protocol_%,$(STRESS_BIN))
STRESS_RUN := $(if $(STRESS_ONLY),$(STRESS_ONLY:%=$(B)/stress/stress_%),$(STRESS_BIN))

.PHONY: stress-programs
.SECONDARY: $(STRESS_SRC:%.c=$(B)/%.o)

stress-programs: $(STRESS_BIN)

stress: $(STRESS_RUN)
	@stress/run --seconds '$(STRESS_S)' --threads '$(STRESS_THREADS)' \
		$(if $(STRESS_SEED),--seed '$(STRESS_SEED)') $(STRESS_RUN)

$(B)/stress/%.o: stress/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC    $@")
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(STRESS_INSIDE:%=%.o): CFLAGS += -Isrc
$(STRESS_INSIDE): $(AOBJ)
$(filter-out $(STRESS_INSIDE),$(STRESS_BIN)): $(LIB_A)

$(STRESS_BIN): $(B)/stress/%: $(B)/stress/%.o $(STRESS_COMMON)
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

-include $(STRESS_SRC:%.c=$(B)/%.d)
