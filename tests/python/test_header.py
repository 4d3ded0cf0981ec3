# SPDX-License-Identifier: Apache-2.0
"""The binding against the C header: functions with their arguments, structs, enumerations, constants."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest

import signccl
from signccl import _c, _c_lion, _c_types
from support import ROOT

HEADER_NAMES = ("types.h", "comm.h", "collectives.h", "signccl.h", "lion.h")
HEADERS = [ROOT / "include" / "signccl" / name for name in HEADER_NAMES]
STRUCTS = {
    "signcclSignConfig_t": _c_types.SignConfig,
    "signcclConfig_t": _c_types.Config,
    "signcclCommStats_t": _c_types.CommStats,
    "signcclSumOutcome_t": _c_types.SumOutcome,
    "signcclUniqueId": _c_types.UniqueId,
    "signcclLionConfig_t": _c_lion.LionConfig,
    "signcclLionStepConfig_t": _c_lion.LionStepConfig,
}
#: What the initializers of structs make.
MADE = {
    "SIGNCCL_CONFIG_INITIALIZER": _c_types.Config(),
    "SIGNCCL_SIGN_CONFIG_INITIALIZER": _c_types.SignConfig(),
    "SIGNCCL_SUM_OUTCOME_INITIALIZER": _c_types.SumOutcome(),
    "SIGNCCL_LION_CONFIG_INITIALIZER": _c_lion.LionConfig(),
    "SIGNCCL_LION_STEP_INITIALIZER": _c_lion.LionStepConfig(),
}
#: An enumeration of the header, its class, and what the names of its values begin with there.
ENUMS = {
    "signcclResult_t": (_c_types.Result, "signccl"),
    "signcclDataType_t": (_c_types.DataType, "signccl"),
    "signcclZeroRule_t": (_c_types.ZeroRule, "signcclZero"),
    "signcclTieRule_t": (_c_types.TieRule, "signcclTie"),
    "signcclValues_t": (_c_types.Values, "signcclValues"),
    "signcclLionAggregation_t": (_c_lion.LionAggregation, "signcclLion"),
    "signcclLionRounding_t": (_c_lion.LionRounding, "signcclLionRound"),
}
CONSTANTS = {
    "SIGNCCL_VERSION_CODE": _c_types.VERSION_CODE,
    "SIGNCCL_CONFIG_MAGIC": _c_types.CONFIG_MAGIC,
    "SIGNCCL_CONFIG_UNDEF_INT": _c_types.CONFIG_UNDEF_INT,
    "SIGNCCL_UNIQUE_ID_BYTES": _c_types.UNIQUE_ID_BYTES,
    "SIGNCCL_SPLIT_NOCOLOR": _c_types.SPLIT_NOCOLOR,
    "SIGNCCL_ALL_GATHER_MAX_BYTES": _c_types.ALL_GATHER_MAX_BYTES,
}
#: Types of arguments and results as the header writes them. A pointer to a handle is a pointer to a void*.
TYPES: dict[str, Any] = {
    "const char*": ctypes.c_char_p,
    "const void*": ctypes.c_void_p,
    "void*": ctypes.c_void_p,
    "size_t": ctypes.c_size_t,
    "uint64_t": ctypes.c_uint64,
    "uint64_t*": ctypes.POINTER(ctypes.c_uint64),
    "int": ctypes.c_int,
    "int*": ctypes.POINTER(ctypes.c_int),
    "const int*": ctypes.POINTER(ctypes.c_int),
    "signcclComm_t": ctypes.c_void_p,
    "signcclComm_t*": ctypes.POINTER(ctypes.c_void_p),
    "signcclRequest_t*": ctypes.POINTER(ctypes.c_void_p),
    "signcclStream_t": ctypes.c_void_p,
    "signcclResult_t": ctypes.c_int,
    "signcclResult_t*": ctypes.POINTER(ctypes.c_int),
    "signcclDataType_t": ctypes.c_int,
    "signcclUniqueId": _c_types.UniqueId,
    "signcclUniqueId*": ctypes.POINTER(_c_types.UniqueId),
    "const signcclSignConfig_t*": ctypes.POINTER(_c_types.SignConfig),
    "const signcclConfig_t*": ctypes.POINTER(_c_types.Config),
    "signcclCommStats_t*": ctypes.POINTER(_c_types.CommStats),
    "signcclSumOutcome_t*": ctypes.POINTER(_c_types.SumOutcome),
    "signcclLion_t": ctypes.c_void_p,
    "signcclLion_t*": ctypes.POINTER(ctypes.c_void_p),
    "const signcclLionConfig_t*": ctypes.POINTER(_c_lion.LionConfig),
    "const signcclLionStepConfig_t*": ctypes.POINTER(_c_lion.LionStepConfig),
    "const void* const*": ctypes.c_void_p,
    "unsigned char*": ctypes.c_void_p,
}


def text_without_comments() -> str:
    return "".join(re.sub(r"/\*.*?\*/", " ", header.read_text(), flags=re.DOTALL) for header in HEADERS)


def declarations() -> dict[str, tuple[str, list[str]]]:
    """The result type and the argument types of every function of the header."""
    found = {}
    for result, name, arguments in re.findall(
        r"SIGNCCL_EXPORT\s+([\w\s*]+?)\s*(\w+)\(([^)]*)\);", text_without_comments()
    ):
        # An argument is a type and a name.
        kinds = [re.sub(r"\s*\w+$", "", " ".join(one.split())) for one in arguments.split(",") if one.strip() != "void"]
        found[name] = (" ".join(result.split()), kinds)
    return found


def test_every_function_is_bound_with_its_types() -> None:
    declared = declarations()
    bound = {**_c.PROTOTYPES, **_c.OPTIONAL, **_c_lion.PROTOTYPES}
    assert len(declared) >= 35
    assert set(bound) == set(declared)
    for name, (result, arguments) in declared.items():
        expected = (TYPES[result], tuple(TYPES[kind] for kind in arguments))
        assert bound[name] == expected, f"{name} is declared as {result} {arguments}"


def test_no_function_of_this_build_is_missing() -> None:
    for name in {**_c.PROTOTYPES, **_c.OPTIONAL}:
        assert _c.has(name), name


def test_enumerations_have_the_names_and_values_of_the_header() -> None:
    text = text_without_comments()
    for name, (kind, prefix) in ENUMS.items():
        body = re.search(r"typedef enum \{([^}]*)\} " + name + ";", text)
        assert body, name
        declared = {key: int(value) for key, value in re.findall(r"(\w+)\s*=\s*(\d+)", body[1])}
        declared.pop("signcclNumResults", None)
        ours = {prefix + camel(member): int(member) for member in kind}
        # "TieRule.RANDOM" is signcclTieRandom, "Result.UNHANDLED_CUDA_ERROR" signcclUnhandledCudaError.
        assert ours == declared, name


def camel(member: IntEnum) -> str:
    return "".join(word.capitalize() for word in member.name.split("_"))


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Sizes, offsets, constants and bytes of the initializers, as a C compiler has them."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here to measure the header with")
    version_header = ROOT / "include" / "signccl" / "version.h.in"
    folder = tmp_path_factory.mktemp("header")
    values = re.search(r"project\(signccl VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())
    assert values
    major, minor, patch = values[1].split(".")
    text = version_header.read_text().replace("@PROJECT_VERSION@", values[1])
    for part, value in (("MAJOR", major), ("MINOR", minor), ("PATCH", patch)):
        text = text.replace(f"@PROJECT_VERSION_{part}@", value)
    (folder / "signccl").mkdir()
    (folder / "signccl" / "version.h").write_text(text)
    for header in HEADERS:
        shutil.copy(header, folder / "signccl")
    source = folder / "facts.c"
    source.write_text(measuring_program())
    program = folder / "facts"
    subprocess.run([compiler, "-std=c99", f"-I{folder}", str(source), "-o", str(program)], check=True)
    lines = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout.splitlines()
    return {name: int(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def measuring_program() -> str:
    lines = []

    def tell(name: str, expression: str) -> None:
        lines.append(f'printf("{name} %lld\\n", (long long)({expression}));')

    for name, struct in STRUCTS.items():
        tell(f"sizeof {name}", f"sizeof({name})")
        for field, *_ in struct._fields_:
            tell(f"{name}.{field}", f"offsetof({name}, {field})")
            tell(f"sizeof {name}.{field}", f"sizeof((({name}*)0)->{field})")
    for name in CONSTANTS:
        tell(name, name)
    for initializer, struct in MADE.items():
        name = next(name for name, kind in STRUCTS.items() if kind is type(struct))
        lines.append(f"{{ {name} made = {initializer};")
        lines.append("for (size_t i = 0; i < sizeof made; ++i)")
        lines.append(f'printf("{initializer}[%zu] %d\\n", i, ((unsigned char*)&made)[i]); }}')
    return (
        "#include <stddef.h>\n#include <stdio.h>\n#include <string.h>\n#include <signccl/lion.h>\n"
        "int main(void) {\n" + "\n".join(lines) + "\nreturn 0;\n}\n"
    )


def test_structs_have_the_layout_of_the_header(facts: dict[str, int]) -> None:
    for name, struct in STRUCTS.items():
        assert ctypes.sizeof(struct) == facts[f"sizeof {name}"]
        end = 0
        for field, *_ in struct._fields_:
            place = getattr(struct, field)
            assert (place.offset, place.size) == (facts[f"{name}.{field}"], facts[f"sizeof {name}.{field}"]), field
            end = place.offset + place.size
        assert end == ctypes.sizeof(struct), f"{name} has a field that the binding lacks"


def test_initializers_write_the_bytes_of_the_header(facts: dict[str, int]) -> None:
    for initializer, struct in MADE.items():
        assert list(bytes(struct)) == [facts[f"{initializer}[{i}]"] for i in range(ctypes.sizeof(struct))], initializer


def test_constants_are_those_of_the_header(facts: dict[str, int]) -> None:
    assert {name: facts[name] for name in CONSTANTS} == {name: value for name, value in CONSTANTS.items()}


def test_versions_agree() -> None:
    project = (ROOT / "CMakeLists.txt").read_text()
    assert f"project(signccl VERSION {signccl.__version__} " in project


def test_package_has_the_licence_of_the_repository() -> None:
    assert (ROOT / "plugin" / "python" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_checker_notices_a_changed_declaration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed = tmp_path / "comm.h"
    text = HEADERS[1].read_text()
    changed.write_text(text.replace("signcclCommCount(signcclComm_t comm, int* count)", "signcclCommCount(int* count)"))
    monkeypatch.setattr("test_header.HEADERS", [HEADERS[0], changed, *HEADERS[2:]])
    with pytest.raises(AssertionError, match="signcclCommCount is declared"):
        test_every_function_is_bound_with_its_types()
