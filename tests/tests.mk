# tests.mk: what is built for the tests and how they are grouped. Files are found by name:
#
#   test_api_*.c            two forms: hak_* against the archive, libc names under the preload
#   test_hak_*.c            hak_* against the archive only
#   test_libc_*.c *.cc *.sh libc and C++ names under the preload only
#   test_secure_*.c         libc names, the secure library under the preload
#   test_meta_*.sh          tests of the scripts here, once
#   test_<room>_<module>.c  unit tests (cmocka) of src/<room>/<module>.c, against the archive
#   lib_*.c prog_*.c        shared libraries and programs that tests load and run
#   hak_mistake.c           program of checkers.sh: memcheck and ASan on hak_* blocks, in check-all
#   programs/check-*.sh     real programs in `make check`; programs/all-*.sh in `make check-all`
#
#   make test BUILD=debug CC=clang      the tests of one build
#   make test-libc HAK_TEST_PRELOAD=so  the preload form, also for another allocator
#   make check, check-all               everything, with one closing line

.PHONY: soak reliability test test-libc test-hak tests-build stress-build bench-startup check-numa

# Programs of the preload form are the same for every BUILD.
T := build/$(CC)-tests
CXX := $(if $(findstring clang,$(CC)),clang++,g++)

T_API := $(notdir $(basename $(wildcard tests/test_api_*.c)))
T_HAK := $(notdir $(basename $(wildcard tests/test_hak_*.c)))
T_LIBC := $(notdir $(basename $(wildcard tests/test_libc_*.c)))
T_CXX := $(notdir $(basename $(wildcard tests/test_libc_*.cc)))
T_SH := $(wildcard tests/test_libc_*.sh)
T_META := $(wildcard tests/test_meta_*.sh)
T_UNIT := $(filter-out test_api_% test_hak_% test_libc_% test_secure_%,$(notdir $(basename $(wildcard tests/test_*.c))))
T_ONLY_SECURE := $(notdir $(basename $(wildcard tests/test_secure_*.c)))
comma := ,
T_LIBS := $(patsubst tests/%.c,$(T)/lib/%.so,$(wildcard tests/lib_*.c)) $(T)/lib/lib_tls_static.so
T_PROGS := $(patsubst tests/%.c,$(T)/prog/%,$(wildcard tests/prog_*.c))
T_LINKED := $(B)/tests/linked
T_STRESS := $(notdir $(basename $(wildcard stress/stress_*.c)))

# -fno-builtin: the compiler must not remove a malloc whose block is only freed.
T_FLAGS := -D_GNU_SOURCE -fno-builtin -Itests -DTEST_SANITIZED=$(if $(filter asan tsan% fuzz%,$(BUILD)),1,0)
T_COMMON := $(COMMON) -O1 $(T_FLAGS) -DTEST_FORM_HAK=0

HAK_BINS := $(patsubst %,$(B)/tests/hak/%,$(T_API) $(T_HAK))
UNIT_BINS := $(patsubst %,$(B)/tests/unit/%,$(T_UNIT))
LIBC_BINS := $(patsubst %,$(T)/libc/%,$(T_API) $(T_LIBC) $(T_ONLY_SECURE) $(T_CXX))
STRESS_BINS := $(patsubst %,$(B)/stress/%,$(T_STRESS))

$(B)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  TEST  $@")
	$(Q)$(CC) $(CFLAGS) $(T_FLAGS) -DTEST_FORM_HAK=1 -MMD -MP -c -o $@ $<

$(B)/tests/hak/%: $(B)/tests/%.o $(B)/tests/test.o $(B)/tests/api.o $(LIB_A)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  TEST  $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -ldl

# Unit tests call functions that the archive does not show: they take its objects.
$(B)/tests/unit/%: tests/%.c $(AOBJ)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  TEST  $@")
	$(Q)$(CC) $(CFLAGS) -Itests -Isrc -MMD -MP -MF $@.d -o $@ $< $(AOBJ) $(LDFLAGS) $(LDLIBS) -lcmocka -ldl -lm

# Its own versions of the calls that the archive makes; a sanitizer has others.
ifeq ($(SANITIZED),)
$(B)/tests/unit/test_base_faults: LDFLAGS += $(patsubst %,-Wl$(comma)--wrap=%,mmap munmap mprotect mremap madvise syscall)
endif

$(T)/%.o: tests/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  TEST  $@")
	$(Q)$(CC) $(T_COMMON) -MMD -MP -c -o $@ $<

$(T)/%.o: tests/%.cc
	@mkdir -p $(@D)
	$(if $(V),,@echo "  TEST  $@")
	$(Q)$(CXX) -std=c++17 -g -O1 -Wall -Wextra -Werror -faligned-new -fsized-deallocation -Iinclude $(T_FLAGS) -DTEST_FORM_HAK=0 -MMD -MP -c -o $@ $<

$(T)/libc/%: $(T)/%.o $(T)/test.o $(T)/api.o
	@mkdir -p $(@D)
	$(if $(V),,@echo "  TEST  $@")
	$(Q)$(if $(filter $*,$(T_CXX)),$(CXX),$(CC)) -o $@ $^ -lpthread -ldl

$(T)/lib/lib_tls_static.so: tests/lib_tls.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  TEST  $@")
	$(Q)$(CC) $(T_COMMON) -DTLS_STATIC=1 -fPIC -shared -o $@ $<

# prog_work linked with the library, as a program is that names it at link time.
$(T_LINKED): tests/prog_work.c $(LIB_SO)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  TEST  $@")
	$(Q)$(CC) $(T_COMMON) -o $@ $< $(LIB_SO) -Wl,-rpath,$(abspath $(B)) -lpthread -ldl

$(T)/lib/%.so: tests/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  TEST  $@")
	$(Q)$(CC) $(T_COMMON) -fPIC -shared -MMD -MP -MF $@.d -o $@ $< -ldl

$(T)/prog/%: tests/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  TEST  $@")
	$(Q)$(CC) $(T_COMMON) -MMD -MP -MF $@.d -o $@ $< -lpthread -ldl

.SECONDARY:
-include $(wildcard $(B)/tests/*.d $(B)/tests/unit/*.d $(T)/*.d $(T)/lib/*.d $(T)/prog/*.d)

tests-build: $(HAK_BINS) $(UNIT_BINS) $(if $(SANITIZED),,$(LIB_SO) $(T_LINKED) $(LIBC_BINS) $(T_LIBS) $(T_PROGS))
stress-build: $(STRESS_BINS)

# ---- Groups of tests/run: $(call group_...,CC,BUILD) ----------------------------------------

SAN_ENV := TSAN_OPTIONS=die_after_fork=0:halt_on_error=1:history_size=4 \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
group_libc = --group $(1)-$(2)/libc --preload $(or $(HAK_TEST_PRELOAD),build/$(1)-$(2)/libhakmem.so) \
	--timeout 180 --env "HAK_TEST_BUILD=$(2) HAK_TEST_FILES=build/$(1)-tests HAK_TEST_LINKED=build/$(1)-$(2)/tests/linked" \
	$(patsubst %,build/$(1)-tests/libc/%,$(T_API) $(T_LIBC) $(T_CXX)) \
	$(filter-out $(if $(filter-out release,$(2)),$(T_COUNTED)),$(T_SH))
# Counts instructions, of the release build.
T_COUNTED := tests/test_libc_policy_cost.sh
# The secure library: what shows its free lists, and in check-all the whole API. Without guarded
# blocks, which would be another one of so many at each run, and are reported in more lines.
T_SECURE := $(patsubst %,test_api_%,calloc free free_sized guard guard_right invalid malloc misuse posix_memalign usable_size)
group_secure = --group gcc-secure/libc --preload build/gcc-secure/libhakmem.so --timeout 180 \
	--env "HAK_TEST_BUILD=secure HAK_TEST_FILES=build/gcc-tests HAKMEM_GUARD_SAMPLE=0" \
	$(patsubst %,build/gcc-tests/libc/%,$(1) $(T_ONLY_SECURE))
# What cannot be tried where a sanitizer has its own malloc, needs address space or forbids it.
T_NOT_SAN := $(notdir $(basename $(shell grep -l '"the sanitizers' tests/test_*.c)))
# What the archive can only do where each call takes the heap away, as in the builds for sanitizers.
T_GUARDED := $(notdir $(basename $(shell grep -l '"the archive is' tests/test_*.c)))
group_hak = --group $(1)-$(2)/hak --timeout 240 --env "$(SAN_ENV)" \
	$(patsubst %,build/$(1)-$(2)/tests/hak/%,$(filter-out $(if $(filter asan tsan%,$(2)),$(T_NOT_SAN)) \
	$(if $(filter asan tsan% ubsan,$(2)),,$(T_GUARDED)),$(T_API) $(T_HAK)))
group_unit = $(if $(T_UNIT),--group $(1)-$(2)/unit --timeout 180 --env "$(SAN_ENV)" \
	$(patsubst %,build/$(1)-$(2)/tests/unit/%,$(filter-out $(if $(filter asan tsan% ubsan,$(2)),$(T_NOT_SAN)),$(T_UNIT))))
group_stress = $(if $(T_STRESS),--group $(1)-$(2)/stress --timeout 240 --env "$(SAN_ENV)" \
	--args "--seconds $(3) --threads 4 --seed $(SEED)" \
	$(patsubst %,build/$(1)-$(2)/stress/%,$(filter-out $(if $(filter secure,$(2)),$(T_WHOLE)),$(T_STRESS))))
# Takes spans of whole granules, of which the secure build has few: they end with a guard.
T_WHOLE := stress_protocol_slices
group_build = $(if $(filter asan tsan ubsan,$(2)),,$(call group_libc,$(1),$(2))) \
	$(call group_hak,$(1),$(2)) $(call group_unit,$(1),$(2))
# Replays of the corpus, in both forms; and a short run of libFuzzer, always with the same seed.
group_replay = --group $(1)-$(2)/fuzz --timeout 120 --env "$(SAN_ENV)" \
	$(foreach t,$(FUZZ_TARGETS),"build/$(1)-$(2)/fuzz/fuzz_$(t) fuzz/corpus/$(t)")
group_replay_libc = --group $(1)-$(2)/fuzz-libc --timeout 120 \
	--preload build/$(1)-$(2)/libhakmem.so \
	$(foreach t,$(FUZZ_CALLS),"build/$(1)-tests/fuzz/fuzz_$(t) fuzz/corpus/$(t)")
group_fuzz = --group fuzz --timeout 300 $(foreach t,$(FUZZ_TARGETS),"fuzz/run --seconds $(1) --seed 1 build/clang-fuzz-tiny/fuzz/fuzz_$(t)")
group_meta = --group meta --timeout 300 "make -s lint" "make -s symbols" $(T_META)
group_programs = $(if $(1),--group programs --timeout $(2) $(1))

SEED := $(shell date +%s)
RUN := tests/run -j 2

test: tests-build
	$(RUN) -o $(B)/log $(call group_build,$(CC),$(BUILD))

test-libc: $(if $(HAK_TEST_PRELOAD),,$(LIB_SO) $(T_LINKED)) $(LIBC_BINS) $(T_LIBS) $(T_PROGS)
	$(RUN) -o $(B)/log $(call group_libc,$(CC),$(BUILD))

test-hak: $(HAK_BINS)
	$(RUN) -o $(B)/log $(call group_hak,$(CC),$(BUILD))

# ---- make check, make check-all -------------------------------------------------------------

CHECK_STRESS_S := 3
CHECK_FUZZ_S := 2
sub = +$(MAKE) --no-print-directory -j2 CC=$(1) BUILD=$(2)

# clang-ubsan: the other compiler and the cheapest sanitizer, so that less is left for check-all to find.
check:
	$(call sub,gcc,release) all tests-build fuzz-build
	$(call sub,gcc,debug) tests-build stress-build
	$(call sub,gcc,tiny) tests-build stress-build fuzz-build
	$(call sub,gcc,tsan) stress-build
	$(call sub,clang,fuzz-tiny) fuzz-build
	$(call sub,clang,ubsan) tests-build
	$(call sub,gcc,release) $(MODEL_BIN)
	@$(RUN) -o build/check/log $(call group_meta) $(call group_models,run) \
		$(foreach b,release debug tiny,$(call group_build,gcc,$(b))) \
		$(call group_secure,$(T_SECURE)) \
		$(call group_build,clang,ubsan) \
		$(foreach b,debug tiny tsan,$(call group_stress,gcc,$(b),$(CHECK_STRESS_S))) \
		$(call group_replay_libc,gcc,release) $(call group_replay,gcc,tiny) \
		$(call group_fuzz,$(CHECK_FUZZ_S)) \
		$(call group_programs,$(sort $(wildcard tests/programs/check-*.sh)),300)

SANITIZERS := asan tsan ubsan
ALL_STRESS_S := 3
PAIRS := $(foreach c,gcc clang,$(foreach b,release debug tiny $(SANITIZERS),$(c)-$(b)))
# The same tests in tsan-tiny say little that tsan and tiny do not; the same races say a lot.
STRESS_PAIRS := $(foreach c,gcc clang,$(foreach b,debug tiny $(SANITIZERS) tsan-tiny,$(c)-$(b)))
REPLAY_PAIRS := $(PAIRS)
STRESS_PAIRS += gcc-secure
# CHECKED=1 leaves out what make check has just run on the same sources.
ifeq ($(CHECKED),1)
PAIRS := $(filter-out gcc-release gcc-debug gcc-tiny clang-ubsan,$(PAIRS))
STRESS_PAIRS := $(filter-out gcc-debug gcc-tiny gcc-tsan,$(STRESS_PAIRS))
ALL_PROGRAMS := $(sort $(wildcard tests/programs/all-*.sh))
else
ALL_PROGRAMS := $(sort $(wildcard tests/programs/check-*.sh tests/programs/all-*.sh))
endif
pair_cc = $(word 1,$(subst -, ,$(1)))
pair_build = $(1:$(pair_cc)-%=%)

check-all:
	$(call sub,gcc,release) all
	for cc in gcc clang; do for b in release debug tiny $(SANITIZERS) tsan-tiny; do \
		case $$b in tsan-tiny) what=stress-build ;; release) what="tests-build fuzz-build" ;; \
		*) what="tests-build stress-build fuzz-build" ;; esac; \
		$(MAKE) --no-print-directory -j2 CC=$$cc BUILD=$$b $$what || exit 1; \
	done; done
	$(call sub,gcc,secure) stress-build
	$(call sub,gcc,release) $(MODEL_BIN)
	@$(RUN) -o build/check-all/log $(if $(CHECKED),,$(call group_meta)) $(call group_models,weaken) $(call group_secure,$(T_API)) \
		--group plants --say --timeout 900 stress/selftest.sh --group checkers --timeout 300 tests/checkers.sh \
		$(foreach p,$(PAIRS),$(call group_build,$(call pair_cc,$(p)),$(call pair_build,$(p)))) \
		$(foreach p,$(STRESS_PAIRS),$(call group_stress,$(call pair_cc,$(p)),$(call pair_build,$(p)),$(ALL_STRESS_S))) \
		$(foreach p,$(REPLAY_PAIRS),$(call group_replay,$(call pair_cc,$(p)),$(call pair_build,$(p)))) \
		--group fuzz --timeout 600 fuzz/mutants.sh \
		$(call group_programs,$(ALL_PROGRAMS),900)

# Placement on all emulated machines; the last line has the least of each row over them.
check-numa:
	@tests/programs/all-vm-numa.sh

lint:
	@tests/lint.sh .

symbols: build/libhakmem.so build/libhakmem.a
	@tests/symbols.sh build/libhakmem.so build/libhakmem.a

# Time added to /bin/true, interleaved with runs without a preload. Shown, never gated.
bench-startup: build/libhakmem.so $(T)/prog/prog_startup
	$(T)/prog/prog_startup build/libhakmem.so

# Hours of everything, and what that came to. A short one has fewer builds.
SOAK_S ?= 14400
SOAK_DIR ?= build/soak
SOAK_BUILDS ?= $(if $(shell test '$(SOAK_S)' -lt 1000 && echo short),gcc-tiny gcc-tsan clang-fuzz-tiny,\
	$(foreach b,debug tiny $(SANITIZERS) tsan-tiny,gcc-$(b) clang-$(b)) clang-fuzz clang-fuzz-tiny)

soak:
	$(call sub,gcc,release) all $(T)/prog/prog_soak
	for p in $(SOAK_BUILDS); do \
		case $$p in clang-fuzz*) what=fuzz-build ;; *) what=stress-build ;; esac; \
		$(MAKE) --no-print-directory -j2 CC=$${p%%-*} BUILD=$${p#*-} $$what || exit 1; \
	done
	@tests/soak.sh '$(SOAK_S)' '$(SOAK_DIR)'

# What the last runs of all checks came to.
reliability:
	@tests/reliability.sh '$(SOAK_DIR)'
