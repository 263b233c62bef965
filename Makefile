# What a newcomer needs: `make demo` and `make test`. Everything here is a short way to the presets of CMakePresets.json.

.DEFAULT_GOAL := help
.PHONY: help demo test build packages dev asan tsan minimal fuzz fuzz-packages bench install format lint clean

ARGS ?=
CMAKE_ARGS ?=
PREFIX ?= /usr/local
CLANG_TIDY ?= clang-tidy

help: ## list these targets
	@echo 'make demo and make test install what is missing (Debian packages), build, and run.'
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1 \t\2/p' Makefile | expand -t 20
	@echo
	@echo "  ARGS='...'        given to the program, e.g. make demo ARGS='--epochs 3'; make demo ARGS=--help lists them"
	@echo "  CMAKE_ARGS='...'  given to CMake, e.g. make test CMAKE_ARGS=-DDYGRAD_WERROR=ON"
	@echo '  DYGRAD_NO_INSTALL=1 only prints the line that would install the missing packages'

demo: build/release/build.ninja ## train the autoencoder on Fashion-MNIST; pictures and metrics go to out/
	@cmake --build build/release --target example_autoencoder
	@build/release/examples/autoencoder $(ARGS)

test: build/release/build.ninja ## build in Release and run every test
	@cmake --build build/release
	@cmake/run-tests.sh release $(ARGS)

build: build/release/build.ninja ## build the library, the examples and the tests in Release
	@cmake --build build/release

dev: build/dev/build.ninja ## the same tests, with debug information and assertions
	@cmake --build build/dev
	@cmake/run-tests.sh dev $(ARGS)

asan: build/asan-ubsan/build.ninja ## the unit tests under the address and undefined-behaviour sanitizers
	@cmake --build build/asan-ubsan
	@cmake/run-tests.sh asan-ubsan $(ARGS)

tsan: build/tsan/build.ninja ## the tests that start threads, under the thread sanitizer
	@cmake --build build/tsan
	@cmake/run-tests.sh tsan $(ARGS)

minimal: build/minimal/build.ninja ## the tests with the reference backend alone: no oneDNN, no BLAS
	@cmake --build build/minimal
	@cmake/run-tests.sh minimal $(ARGS)

fuzz: fuzz-packages build/fuzz/build.ninja ## run each fuzz target for a minute; ARGS='600 npz' for ten of npz alone
	@cmake --build build/fuzz
	@tests/fuzz/run.sh $(ARGS)

fuzz-packages:
	@cmake/install-packages.sh fuzz

bench: build/benchmarks/build.ninja ## time everything: tables here, JSON in build/bench; with libtorch too where it is found
	@cmake --build --preset benchmarks
	@tests/bench/run.py $(ARGS)

install: build/release/build.ninja ## install into PREFIX (/usr/local)
	@cmake --build build/release --target dygrad
	@cmake --install build/release --prefix $(PREFIX)

packages: ## install missing packages (apt); does nothing when all are there
	@cmake/install-packages.sh

format: ## lay out the code with clang-format
	@git ls-files '*.h' '*.cpp' | xargs clang-format -i

# Without what the fuzz build lacks (oneDNN, BLAS), and the files that compile the microkernels for each instruction set.
lint: fuzz-packages build/fuzz/build.ninja ## look for habits that .clang-tidy names, as clang compiles the library
	@ninja -C build/fuzz --quiet $$(ninja -C build/fuzz -t targets all | sed -n 's/\(.*\.pch\): .*/\1/p')
	@git ls-files 'core/*.cpp' 'autograd/*.cpp' 'layers/*.cpp' 'backends/*.cpp' \
	  | grep -vE '^backends/(onednn|gemm)/|microkernels/kernels_' \
	  | xargs -P "$$(nproc)" -n 4 $(CLANG_TIDY) -p build/fuzz --quiet

clean: ## delete build/ (out/ stays)
	@rm -rf build

# A finished configuration is kept, and ninja redoes it when a CMake file changes; CMAKE_ARGS always configures anew.
build/%/build.ninja: $(if $(CMAKE_ARGS),always) | packages
	@cmake --preset $* $(CMAKE_ARGS)
.PHONY: always
always:
.PRECIOUS: build/%/build.ninja
