# The key-value server of ./run: a plain program that knows nothing of the
# library, so one build serves every BUILD.

KV_SRC := $(wildcard bench/kv_*.c)

.PHONY: kv_server
kv_server: build/kv_server

build/kv_server: $(KV_SRC) bench/kv.h
	@mkdir -p $(@D)
	$(CC) $(COMMON) -O2 -o $@ $(KV_SRC) -lpthread
