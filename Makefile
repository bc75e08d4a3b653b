# Thin: each target does its own set-up (tools/bootstrap.py) and says what it does.
# PYTHON       the Python to build for (>= 3.10, with headers)
# PYTHON_ALSO  a second one for `make test`
# N, SEED      how many programs `make differential` runs, and the number of the first
# PREFIX       where `make install` installs; LIBDIR below it; DESTDIR in front of both
# SUITES       which suites `make test` runs: make test SUITES="style gcc"
PYTHON ?= python3
SUITES ?=
N ?= 20000
SEED ?= 1
PREFIX ?= /usr/local
LIBDIR ?= lib
BOOTSTRAP = $(PYTHON) tools/bootstrap.py
IN_VENV = build/venv/bin/python
# Nothing that runs here leaves a file outside build/.
export PYTHONDONTWRITEBYTECODE = 1

.DEFAULT_GOAL := help
.PHONY: demo test bench conformance differential planted ecosystem interpreters style asan faults tsan cross analyze coverage build install clean help

demo: ## the main job on real input: a file server, its clients, trio beside it, and a server in C (40 s first, then 30 s)
	@$(BOOTSTRAP) trio ctrio examples
	@$(IN_VENV) tools/demo.py
	@$(IN_VENV) tools/demo_c.py

test: ## every suite; the last line sums them up (8 min)
	@$(BOOTSTRAP) venv
	@$(IN_VENV) tools/run_tests.py $(SUITES)

bench: ## speed beside trio, asyncio, uvloop, on 3.14 too, then Go, tokio, libuv; prints tables, writes build/bench/*.json (9 min)
	@$(BOOTSTRAP) peers ctrio
	@status=0; $(IN_VENV) bench/run.py || status=1; $(IN_VENV) tools/bench_newest.py || status=1; \
	  $(IN_VENV) bench/c/run.py || status=1; exit $$status

conformance: ## trio's own tests, run against ctrio (2 min)
	@$(BOOTSTRAP) venv ctrio
	@$(IN_VENV) tests/conformance/run.py

ecosystem: ## published tests of packages on trio, run on ctrio too (1 min)
	@$(BOOTSTRAP) venv
	@$(IN_VENV) tools/run_tests.py ecosystem ecosystem-also

interpreters: ## loops in interpreters with their own GIL, on 3.12, 3.13 and 3.14 (3 min)
	@$(BOOTSTRAP) venv
	@$(IN_VENV) tools/run_tests.py interpreters

differential: ## N=20000 generated programs from number SEED=1 on, run on trio and on ctrio; shows what differs (1 min)
	@$(BOOTSTRAP) trio ctrio
	@$(IN_VENV) tests/differential/run.py $(N) --seed $(SEED)

planted: ## bugs planted in the kernel, each to be found by differential within 20,000 programs (10 min)
	@$(BOOTSTRAP) trio ctrio
	@$(IN_VENV) tests/differential/planted.py

style: ## include rule, sizes, symbols, clang-format, ruff, mypy (1 min)
	@$(BOOTSTRAP) venv
	@$(IN_VENV) tools/check_style.py

asan: ## the C tests and the Python tests under AddressSanitizer and UBSan (6 min)
	@$(BOOTSTRAP) venv
	@$(IN_VENV) tools/run_tests.py asan asan-alloc asan-python

faults: ## Python programs whose every allocation fails in turn (8 min)
	@$(BOOTSTRAP) venv
	@$(IN_VENV) tools/run_tests.py asan-alloc faults

tsan: ## the C tests under ThreadSanitizer, with 10,000,000 calls from 8 threads (6 min)
	@$(BOOTSTRAP) venv
	@$(IN_VENV) tools/run_tests.py tsan

cross: ## the C tests on s390x, i686 and aarch64 under qemu-user, and on musl (8 min)
	@$(BOOTSTRAP) venv
	@$(IN_VENV) tools/run_tests.py cross

analyze: ## the C tests under Valgrind; gcc -fanalyzer, clang-tidy, clang -Wthread-safety (10 min)
	@$(BOOTSTRAP) venv
	@$(IN_VENV) tools/run_tests.py valgrind fanalyzer tidy thread-safety

coverage: ## lines and branches of src/kernel that the C tests reach (4 min)
	@$(BOOTSTRAP) venv
	@$(IN_VENV) tools/coverage.py

build: ## the extension, installed into build/venv (1 min first, then seconds)
	@$(BOOTSTRAP) venv ctrio

install: ## the C library: headers, libctrio.a, libctrio.so, ctrio.pc into PREFIX (30 s)
	@$(BOOTSTRAP) venv
	@DESTDIR="$(DESTDIR)" $(IN_VENV) tools/install.py --prefix "$(PREFIX)" --libdir "$(LIBDIR)"

clean: ## removes everything that was built, the environments too (1 s)
	rm -rf build

help: ## this list (1 s)
	@sed -n 's/^\([a-z]*\): ## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z]*\): ## \(.*\)/  make \1: \2/p' Makefile
