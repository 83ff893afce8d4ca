"""The documentation as a site, made by `make docs` from the pages that GitHub shows.

Its root is the repository, so that links between the pages lead to the same places on both.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.domains.python import PyObject

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from finetune_embed import __version__  # noqa: E402  (it is found by the path above)

project = "finetune_embed"
release = version = __version__
copyright = "the finetune_embed authors"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "docs/README"
include_patterns = [
    "docs/**",
    "recipes/*.md",
    "benchmarks/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]
exclude_patterns = [".*", "build", "dist", "finetune_embed", "tests", "docs/*.txt"]

myst_heading_anchors = 4  # as GitHub names them
default_role = "py:obj"  # `name` in a docstring is code, and a link where it is a public name

autodoc_typehints = "none"  # the signature has them
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries = False

# Of `make linkcheck`: a script makes the anchors of GitHub, which a fetched page does not have.
linkcheck_anchors_ignore_for_url = [r"https://github\.com/.*"]
linkcheck_timeout, linkcheck_retries = 20, 2

html_theme = "furo"
html_title = "finetune_embed"
html_extra_path = ["site/index.html"]
html_static_path = ["site/static"]
html_css_files = ["custom.css"]
html_copy_source = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def add_the_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Append the tree of all pages to the first, where GitHub would show it as code."""
    if name == root_doc:
        source[0] += "\n" + (HERE / "toctree.txt").read_text()


def setup(app: Sphinx) -> None:
    """Connect what runs while the site is made."""
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"  # as in the docstring
    app.connect("source-read", add_the_contents)
