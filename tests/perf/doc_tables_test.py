# SPDX-License-Identifier: Apache-2.0
"""Tests of perf/doc_tables.py, with a program that prints two tables."""

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "perf"))

import doc_tables

PAGE = """# Title

```sh
other --option
```

| not | ours |

```sh
tables 7
```

| a |
| 7 |

| b |
| 8 |

The end.
"""


class DocTablesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        program = self.folder / "tables"
        program.write_text('#!/bin/sh\nprintf "| a |\\n| %s |\\n\\n| b |\\n| 8 |\\n" "$1"\n')
        program.chmod(0o755)

    def run_main(self, page, *options):
        file = self.folder / "page.md"
        file.write_text(page)
        output = io.StringIO()
        arguments = ["doc_tables.py", "--programs", str(self.folder), *options, str(file)]
        with mock.patch.object(sys, "argv", arguments), contextlib.redirect_stdout(output):
            status = doc_tables.main()
        return status, output.getvalue(), file.read_text()

    def test_a_page_that_is_as_the_command_prints_passes(self):
        self.assertEqual(self.run_main(PAGE), (0, "", PAGE))

    def test_a_changed_figure_fails_and_is_shown(self):
        status, output, page = self.run_main(PAGE.replace("| 8 |", "| 9 |"))
        self.assertEqual(status, 1)
        self.assertIn("-| 9 |\n+| 8 |\n", output)
        self.assertIn("| 9 |", page)

    def test_a_missing_table_fails(self):
        self.assertEqual(self.run_main(PAGE.replace("\n| b |\n| 8 |\n", ""))[0], 1)

    def test_tables_are_written_anew_and_the_rest_stays(self):
        old = PAGE.replace("| 8 |", "| 9 |").replace("| a |\n", "")
        self.assertEqual(self.run_main(old, "--write"), (0, "", PAGE))


if __name__ == "__main__":
    unittest.main()
