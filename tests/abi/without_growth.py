#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints what abidw says of today's library without the fields that its structs got since a release.

Structs with a `size` field may grow at their end (convention 6 of include/signccl/signccl.h), which abidiff takes for a
change. Fields behind the release's end of a struct go, and its size becomes the release's; everything else stays.

    without_growth.py RELEASE.abi CURRENT.abi
"""

import sys
import xml.etree.ElementTree as ElementTree


def growing_structs(root):
    """Structs whose first field is `size`, by their names."""
    structs = {}
    for struct in root.iter("class-decl"):
        field = struct.find("data-member/var-decl")
        if field is not None and field.get("name") == "size":
            structs[struct.get("name")] = struct
    return structs


def main():
    release, current = (ElementTree.parse(path) for path in sys.argv[1:3])
    older = growing_structs(release.getroot())
    for name, struct in growing_structs(current.getroot()).items():
        if name not in older:
            continue
        bits = int(older[name].get("size-in-bits"))
        if int(struct.get("size-in-bits")) <= bits:
            continue
        for field in struct.findall("data-member"):
            if int(field.get("layout-offset-in-bits")) >= bits:
                struct.remove(field)
        struct.set("size-in-bits", str(bits))
    current.write(sys.stdout, encoding="unicode")


if __name__ == "__main__":
    main()
