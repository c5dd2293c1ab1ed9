# fuzz.mk: the fuzz targets, fuzz/fuzz_*.c.
#
#   make fuzz [FUZZ_S=60] [FUZZ_ONLY="api threads"] [FUZZ_SEED=n]   libFuzzer, in both fuzz builds
#   make fuzz-replay                 the corpus in one build, by CC and BUILD
#   make fuzz-corpus                 makes fuzz/corpus anew, after new findings or new calls
#
# BUILD=fuzz and fuzz-tiny are clang's, with ASan and UBSan. In every other build a target is a
# program that replays files; $(T)/fuzz has the preload form, which calls malloc and free.

.PHONY: fuzz fuzz-build fuzz-programs fuzz-replay fuzz-corpus

FUZZ_S ?= 60
FUZZ_SEED ?= $(SEED)
FUZZ_TARGETS := $(patsubst fuzz/fuzz_%.c,%,$(wildcard fuzz/fuzz_*.c))
FUZZ_ONLY ?= $(FUZZ_TARGETS)
# These have a preload form.
FUZZ_CALLS := $(filter api threads,$(FUZZ_TARGETS))
FUZZ_BINS := $(FUZZ_TARGETS:%=$(B)/fuzz/fuzz_%)
FUZZ_LIBC := $(FUZZ_CALLS:%=$(T)/fuzz/fuzz_%)

FUZZ_SHARED := shadow script control broken
FUZZ_MAIN := $(if $(filter fuzz%,$(BUILD)),,replay)
FUZZ_LINK := $(if $(filter fuzz%,$(BUILD)),-fsanitize=fuzzer)

fuzz-build: $(FUZZ_BINS) $(if $(SANITIZED),,$(FUZZ_LIBC))

$(B)/fuzz/%.o: fuzz/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  FUZZ  $@")
	$(Q)$(CC) $(CFLAGS) $(T_FLAGS) -DTEST_FORM_HAK=1 -MMD -MP -c -o $@ $<

# What reads text is tested from inside: it takes the archive's objects, and stands in for files.
FUZZ_INSIDE := $(patsubst %,$(B)/fuzz/fuzz_%,$(filter-out $(FUZZ_CALLS),$(FUZZ_TARGETS)))
$(FUZZ_INSIDE:%=%.o): CFLAGS += -Isrc
$(FUZZ_INSIDE): FUZZ_LINK += $(patsubst %,-Wl$(comma)--wrap=%,os_read_file os_replace_file write)
$(B)/fuzz/fuzz_policy_file: FUZZ_LINK += -Wl,--wrap=share_sum
$(FUZZ_INSIDE): $(B)/fuzz/inside.o $(B)/fuzz/broken.o $(AOBJ)
$(FUZZ_CALLS:%=$(B)/fuzz/fuzz_%): $(FUZZ_SHARED:%=$(B)/fuzz/%.o) $(B)/tests/test.o $(B)/tests/api.o $(LIB_A)

# The models themselves need not be watched, and are quicker then.
ifneq ($(filter fuzz%,$(BUILD)),)
$(B)/fuzz/shadow.o $(B)/fuzz/inside.o $(FUZZ_INSIDE:%=%.o): CFLAGS := $(filter-out -fsanitize=%,$(CFLAGS)) -O2
endif

$(FUZZ_BINS): $(B)/fuzz/%: $(B)/fuzz/%.o $(FUZZ_MAIN:%=$(B)/fuzz/%.o)
	$(if $(V),,@echo "  FUZZ  $@")
	$(Q)$(CC) $(LDFLAGS) $(FUZZ_LINK) -o $@ $^ $(LDLIBS) -ldl

# -fPIC: what only our library has is looked up when the program starts, and may be missing.
$(T)/fuzz/%.o: fuzz/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  FUZZ  $@")
	$(Q)$(CC) $(T_COMMON) -fPIC -MMD -MP -c -o $@ $<

$(FUZZ_LIBC): $(T)/fuzz/%: $(T)/fuzz/%.o $(FUZZ_SHARED:%=$(T)/fuzz/%.o) $(T)/fuzz/replay.o $(T)/test.o $(T)/api.o
	$(if $(V),,@echo "  FUZZ  $@")
	$(Q)$(CC) -o $@ $^ -lpthread -ldl

-include $(wildcard $(B)/fuzz/*.d $(T)/fuzz/*.d)

fuzz-replay: $(FUZZ_BINS)
	@for t in $(FUZZ_ONLY); do echo "fuzz_$$t: $$($(B)/fuzz/fuzz_$$t fuzz/corpus/$$t)" || exit 1; done

fuzz: fuzz-programs
	@fuzz/run --seconds $(FUZZ_S) --seed $(FUZZ_SEED) $(FUZZ_ONLY:%=build/clang-fuzz-tiny/fuzz/fuzz_%) \
		$(FUZZ_ONLY:%=build/clang-fuzz/fuzz/fuzz_%)

fuzz-programs:
	$(call sub,clang,fuzz-tiny) fuzz-build
	$(call sub,clang,fuzz) fuzz-build

fuzz-corpus:
	$(call sub,clang,fuzz-tiny) fuzz-build
	for t in $(FUZZ_ONLY); do fuzz/corpus.sh $$t build/clang-fuzz-tiny/fuzz/fuzz_$$t $(FUZZ_S) || exit 1; done
