# SPDX-License-Identifier: MIT
"""Which file needs which, from the symbols of the build.

An arrow is a symbol that one object file uses and another of the same program defines. A circle is
a group of files that all reach one another.
"""
import collections
import functools
import json
import pathlib
import subprocess
import sys

# What is built of lib, agent and tools; tests and the copies of the library link the same objects.
TARGETS = ("lib/libnova-core.a.p/", "lib/nova-keeper.p/", "lib/nova-zygote.so.p/",
           "lib/module/", "agent/", "tools/")


def is_archive(target):
    """tools/libNAME.a.p"""
    return target.startswith("tools/") and target.endswith(".a.p")


def objects(root, build):
    """{target: {object: source}} of the programs that count."""
    found = collections.defaultdict(dict)
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        path = entry["output"]
        if path.startswith(TARGETS):
            source = (build / entry["file"]).resolve()
            if source.is_relative_to(root):
                found[path.rpartition("/")[0]][path] = source.relative_to(root).as_posix()
    # An arrow into an archive of the tools comes from a program that links it.
    archives = {path: source for target, sources in found.items() if is_archive(target)
                for path, source in sources.items()}
    for target, sources in found.items():
        if target.startswith("tools/") and not is_archive(target):
            sources.update(archives)
    return found


def symbols(build, names):
    """{object: (defined, used)} by one call of nm."""
    text = subprocess.run(["nm", "-g", "--format=posix", *names], cwd=build, capture_output=True,
                          text=True, check=True).stdout
    result = {name: (set(), set()) for name in names}
    current = names[0]
    for line in text.splitlines():
        if line.endswith(":"):
            current = line[:-1]
        elif line:
            name, kind = line.split()[:2]
            result[current][kind in "Uvw"].add(name)
    return result


@functools.cache
def arrows(root, build):
    """{file: {file it needs: the symbols}}"""
    graph = collections.defaultdict(lambda: collections.defaultdict(set))
    for sources in objects(root, build).values():
        table = symbols(build, sorted(sources))
        owner = {name: sources[path] for path, (defined, _) in table.items() for name in defined}
        for path, (_, used) in table.items():
            for name in used:
                if owner.get(name, sources[path]) != sources[path]:
                    graph[sources[path]][owner[name]].add(name)
    return graph


def room(path):
    """lib/ROOM, agent, or tools/novactl"""
    parts = path.split("/")
    return parts[0] if parts[0] == "agent" else "/".join(parts[:2])


def level(path, order):
    """Where the file's folder stands in the order of its tree;
    what lies beside the folders is above them."""
    parts = path.split("/")
    return order.index(parts[1]) if len(parts) > 2 else len(order)


def upwards(graph, order, tree="lib"):
    """The arrows between folders of the tree that do not point downwards in the order,
    as sentences."""
    for path, needed in graph.items():
        for other, names in needed.items():
            if not path.startswith(tree + "/") or not other.startswith(tree + "/"):
                continue
            if level(other, order) > level(path, order):
                yield f"{path} needs {other} for {', '.join(sorted(names))}"


def reached(graph, start):
    """Every file that can be reached by arrows inside the room."""
    seen, todo = set(), [start]
    while todo:
        for other in graph.get(todo.pop(), ()):
            if other not in seen and room(other) == room(start):
                seen.add(other)
                todo.append(other)
    return seen


def circles(graph):
    """[(room, sorted files)] of groups of more than one file in which each reaches all others."""
    reach = {path: reached(graph, path) for path in graph}
    groups = {tuple(sorted({path} | {o for o in reach[path] if path in reach.get(o, ())}))
              for path in graph}
    return sorted((room(group[0]), group) for group in groups if len(group) > 1)


def spell(place, group):
    """The circle in one line, as exceptions.py lists it."""
    return " ".join(path.removeprefix(place + "/") for path in group)


def explain(graph, group):
    """The arrows of a circle, a line each."""
    lines = [f"    {path.rpartition('/')[2]} -> {other.rpartition('/')[2]}: "
             + ", ".join(sorted(graph[path][other]))
             for path in group for other in group if other in graph.get(path, ())]
    return "\n".join(lines)


if __name__ == "__main__":  # arguments: source root, build root; prints today's circles
    found = arrows(*(pathlib.Path(argument).resolve() for argument in sys.argv[1:3]))
    for place, group in circles(found):
        print(f"{place}: {spell(place, group)}\n{explain(found, group)}")
