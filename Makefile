# hakmem: one non-recursive Makefile.
#
#   make                 build/libhakmem.so, build/libhakmem.a, build/libhakmem-topology.so
#   make secure          build/libhakmem-secure.so, a part of all
#   make check           everything a change must pass (under 15 minutes)
#   make check-numa      where pages lie, on emulated machines with several nodes
#   make check-all       + servers, sanitizers x compilers, emulated machines
#   make stress          the stress programs (BUILD=…, STRESS_S=seconds)
#   make model           lock-free protocols, explored in every order
#   make fuzz            libFuzzer targets (FUZZ_S=seconds); their corpus is replayed by make check
#   make soak            hours of all that (SOAK_S=seconds); make reliability: what all runs came to
#   make bench           all allocators side by side; bench-quick in 3 minutes
#   make instructions    the fast path, counted by callgrind
#   make lint symbols    layering, static analysis, exported names
#
# CC=gcc|clang  BUILD=release|secure|debug|tiny|asan|tsan|ubsan|tsan-tiny

CC := gcc
BUILD := release
PREFIX := /usr/local
ifeq ($(origin CC),default)
CC := gcc
endif

MODES := release secure unchecked debug tiny asan tsan ubsan tsan-tiny fuzz fuzz-tiny
ifeq ($(filter $(BUILD),$(MODES)),)
$(error BUILD=$(BUILD) is not one of: $(MODES))
endif

# A mistake that a test plants in a build of its own, to see that it is found: base.h names them.
PLANT :=
# 1: malloc and free may interrupt themselves from any signal handler (README).
GUARD :=
# 1: the archive tells memcheck and AddressSanitizer of its blocks (man page).
CHECKERS :=
B := build/$(CC)-$(BUILD)$(PLANT:%=-%)$(GUARD:%=-guard)$(CHECKERS:%=-checkers)

# V=1 shows the commands.
Q := $(if $(V),,@)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wundef -Wvla -Werror
COMMON := -std=gnu11 -D_GNU_SOURCE -g -fvisibility=hidden -fno-strict-aliasing -Iinclude $(WARN)
# -fno-builtin-malloc: gcc must not turn malloc+memset in calloc into calloc.
LIBFLAGS := -Isrc -fPIC -ftls-model=initial-exec -fno-builtin-malloc -fno-builtin-calloc \
	-fno-builtin-realloc -fno-builtin-free -fexceptions

MODE_release := -O2 -DHAK_DEBUG=0 -fcf-protection=none -fno-stack-protector -fno-semantic-interposition
MODE_secure := $(MODE_release) -DHAK_SECURE=1
# Only to measure what the checks cost: make bench-harden.
MODE_unchecked := $(MODE_release) -DHAK_CHECKED=0
MODE_debug := -O1 -DHAK_DEBUG=1
MODE_tiny := -O1 -DHAK_DEBUG=1 -DHAK_TINY=1
MODE_asan := -O1 -DHAK_DEBUG=1 -DHAK_SANITIZE=1 -fsanitize=address -fno-omit-frame-pointer
MODE_tsan := -O1 -DHAK_DEBUG=1 -DHAK_SANITIZE=1 -DHAK_TSAN=1 -fsanitize=thread -fno-builtin
MODE_ubsan := -O1 -DHAK_DEBUG=1 -DHAK_SANITIZE=1 -fsanitize=undefined -fno-sanitize-recover=all
# Small limits make rare races common.
MODE_tsan-tiny := $(MODE_tsan) -DHAK_TINY=1
# For libFuzzer, which is clang's: see fuzz/fuzz.mk.
MODE_fuzz := $(MODE_asan) -fsanitize=undefined,fuzzer-no-link -fno-sanitize-recover=all
MODE_fuzz-tiny := $(MODE_fuzz) -DHAK_TINY=1
SANITIZED := $(filter $(BUILD),asan tsan ubsan tsan-tiny fuzz fuzz-tiny)

CFLAGS := $(COMMON) $(MODE_$(BUILD)) $(PLANT:%=-DPLANT_%=1) $(GUARD:%=-DHAK_GUARD=1) \
	$(CHECKERS:%=-DHAK_CHECKERS=1)
LDFLAGS := $(filter -fsanitize=%,$(MODE_$(BUILD)))
LDLIBS := -lpthread

# The second library: the only one that is linked with hwloc and libnuma.
PLUGIN_SRC := src/numa/discover.c
SRC := $(filter-out $(PLUGIN_SRC) $(if $(CHECKERS),src/api/blocks.c,src/api/checked.c),$(wildcard src/*/*.c))
# The archive has hak_* names only; the libc and C++ symbols are the shared library's.
OVERRIDE := src/api/libc.c src/api/cxx.c src/api/threads.c src/api/signals.c
OBJ := $(SRC:%.c=$(B)/%.o)
AOBJ := $(filter-out $(OVERRIDE:%.c=$(B)/%.o),$(OBJ))

LIB_SO := $(B)/libhakmem.so
LIB_A := $(B)/libhakmem.a
PLUGIN_SO := $(B)/libhakmem-topology.so
ifeq ($(words $(wildcard /usr/include/hwloc.h /usr/include/numa.h)),2)
PLUGIN := $(PLUGIN_SO)
else
$(info no hwloc.h or numa.h (libhwloc-dev, libnuma-dev): libhakmem-topology.so is not built)
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: all secure clean install man check check-all stress lint symbols format

ifeq ($(SANITIZED)$(CHECKERS),)
all: $(LIB_SO) $(LIB_A) $(PLUGIN)
else
all: $(LIB_A)
endif

ifneq ($(CHECKERS),)
ifneq ($(SANITIZED)$(filter secure,$(BUILD))$(if $(wildcard /usr/include/valgrind/memcheck.h),,none),)
$(error CHECKERS=1 needs valgrind/memcheck.h (valgrind) and a build without sanitizers: those are the program's)
endif
endif

ifeq ($(BUILD)-$(CC)-$(PLANT)$(GUARD)$(CHECKERS),release-gcc-)
all: build/libhakmem.so build/libhakmem.a $(PLUGIN:$(B)/%=build/%) secure
endif
build/libhakmem.so build/libhakmem.a build/libhakmem-topology.so: build/%: $(B)/%
	@ln -sfn $(patsubst build/%,%,$<) $@

# The same sources with everything that an attacker should not have.
secure:
	+@$(MAKE) --no-print-directory BUILD=secure all
	@ln -sfn gcc-secure/libhakmem.so build/libhakmem-secure.so

$(B)/src/%.o: src/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC    $@")
	$(Q)$(CC) $(CFLAGS) $(LIBFLAGS) -MMD -MP -c -o $@ $<

# malloc and free run on any stack: test_hak_stack measures what these frames add up to.
ifeq ($(SANITIZED),)
$(B)/src/segments/%.o: LIBFLAGS += -Wframe-larger-than=2560
$(B)/src/tls/%.o: LIBFLAGS += -Wframe-larger-than=5120
endif

$(LIB_SO): $(OBJ) src/api/exports.map
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) -shared -static-libgcc $(LDFLAGS) -o $@ $(OBJ) -Wl,-soname,libhakmem$(if $(filter secure,$(BUILD)),-secure).so -Wl,-z,defs -Wl,-z,now -Wl,-z,nodelete \
		-Wl,-z,initfirst -Wl,--version-script=src/api/exports.map -Wl,--hash-style=gnu $(LDLIBS)

$(PLUGIN_SO): $(PLUGIN_SRC:%.c=$(B)/%.o)
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^ -Wl,-soname,libhakmem-topology.so -Wl,-z,defs -Wl,-z,now \
		-Wl,--hash-style=gnu -lhwloc -lnuma

# One object, so that start-up code is always linked and internal names stay inside; one section of
# code, so that the library knows its own (base/stack.c).
ONE_TEXT := $(patsubst %,--rename-section %=hakmem_text,.text .text.unlikely .text.hot .text.startup)
$(LIB_A): $(AOBJ)
	@rm -f $@
	$(if $(V),,@echo "  AR    $@")
	$(Q)ld -r -o $(B)/hakmem.o $^ && objcopy --localize-hidden $(ONE_TEXT) $(B)/hakmem.o && \
		ar rcs $@ $(B)/hakmem.o

clean:
	rm -rf build

# The manual page, its options from their one table.
man: build/hakmem.7
build/hakmem.7: docs/hakmem.7.in docs/man.sh src/base/options.def include/hakmem.h
	@mkdir -p $(@D)
	$(Q)docs/man.sh >$@

install: all man
	install -d $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/share/man/man7
	install -m 644 build/gcc-secure/libhakmem.so $(DESTDIR)$(PREFIX)/lib/libhakmem-secure.so
	install -m 644 $(LIB_SO) $(LIB_A) $(PLUGIN) $(DESTDIR)$(PREFIX)/lib
	install -m 644 include/hakmem.h $(DESTDIR)$(PREFIX)/include
	install -m 644 build/hakmem.7 $(DESTDIR)$(PREFIX)/share/man/man7

format:
	clang-format -i $(wildcard src/*/*.[ch] include/*.h tests/*.[ch] stress/*.[ch] stress/model/*.[ch] fuzz/*.[ch] bench/*.[ch])

-include tests/tests.mk stress/stress.mk stress/model/model.mk fuzz/fuzz.mk $(wildcard bench/*.mk)
-include $(OBJ:.o=.d) $(PLUGIN_SRC:%.c=$(B)/%.d)
