# Names for what scripts/ does, where make is installed; the scripts need none.

.PHONY: tutorial test test-all conformance-ray programs-ray benchmark format clean

tutorial test test-all conformance-ray programs-ray benchmark:
	scripts/$@ $(ARGS)

format:
	scripts/environment .venv dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean:
	rm -rf build dist .venv .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis
