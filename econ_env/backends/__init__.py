"""Where models live."""


def make_llm(spec, config, *, model=None):
    return spec
