# SPDX-License-Identifier: MIT
"""What must be in a state directory, by what its users have said.

A victim writes "B worker verb words..." before a call and "E worker CODE text" after it. Each name
belongs to one worker. What a name may stand for is a set: one thing once the call was acknowledged,
two if its worker was killed within it. None: nothing.
"""
import re


class Wrong(AssertionError):
    pass


class Model:
    def __init__(self):
        self.things = {"keeps": {"keeps"}}
        # Those that must be there, and of which function: what deletes or replaces that, frees
        # them. None: of any.
        self.templates = {}
        self.under_way = {}  # worker: (verb, name, value, what the name stood for before)
        self.wounded = set()  # slots of victims whose keeper or VM was killed
        self.counts = {}  # code: how often
        self.paths = {}  # how VMs came, and why not in a better way: how often

    def possible(self, name):
        return self.things.get(name, {None})

    # --- what victims say

    def hear(self, line, speaker=None):
        """`speaker`: the only worker of who said it, if there is one."""
        kind, _, rest = line.partition(" ")
        if kind == "B":
            self.begin(*rest.split(" "))
        elif kind == "E":
            worker, code, text = rest.split(" ", 2)
            self.end(worker, code, text.rstrip("\n"))
        elif kind == "log":
            self.hear_log(rest, speaker)
        elif kind == "path":
            self.paths[rest] = self.paths.get(rest, 0) + 1
        else:
            raise Wrong(f"unexpected: {line}")

    def begin(self, worker, verb, name="", value=None):
        before = self.possible(name)
        self.under_way[worker] = (verb, name, value, before)
        if verb in ("register", "delete"):
            self.templates = {id: of for id, of in self.templates.items() if of not in (name, None)}
        if verb == "register" or verb == "snapshot" and None in before:
            self.things[name] = before | {value}
        elif verb in ("delete", "drop"):
            self.things[name] = before | {None}
        elif verb == "prune":
            self.templates.clear()

    def end(self, worker, code, text):
        verb, name, value, before = self.under_way.pop(worker)
        self.counts[code] = self.counts.get(code, 0) + 1
        said = f"{worker} {verb} {name} {value or ''}: {code} {text}"
        if code not in ("NOVA_OK", "NOVA_ENOTFOUND", "NOVA_EEXIST"):
            self.things[name] = before if verb != "drop" else before | {None}
            if worker[0] not in self.wounded:
                raise Wrong(said)
            return
        getattr(self, "end_" + verb)(code, text, name, value, before, said)

    def settle(self, name, value):
        self.things[name] = {value}

    def expect(self, holds, said):
        if not holds:
            raise Wrong(said)

    def end_register(self, code, _text, name, value, _before, said):
        self.expect(code == "NOVA_OK", said)
        self.settle(name, value)

    def end_delete(self, code, _text, name, _value, before, said):
        self.expect(before != {None} if code == "NOVA_OK" else None in before, said)
        self.settle(name, None)

    end_drop = end_delete

    def end_snapshot(self, code, text, name, value, before, said):
        if code == "NOVA_OK":
            self.expect(None in before and text == "null", said)
            self.settle(name, value)
        else:
            self.expect(code == "NOVA_EEXIST" and before != {None}, said)
            self.things[name] = before - {None}

    def end_invoke(self, code, text, name, _value, before, said):
        answer = None if code == "NOVA_ENOTFOUND" else text
        self.expect(code != "NOVA_EEXIST" and answer in before, f"{said}, not {before}")
        self.settle(name, answer)

    end_branch = end_fork = end_invoke

    def end_build(self, code, _text, name, _value, before, said):
        self.expect(before != {None} if code == "NOVA_OK" else None in before, said)
        self.things[name] = before - {None} if code == "NOVA_OK" else {None}

    def end_start(self, code, _text, _name, _value, _before, said):
        self.expect(code == "NOVA_OK", said)

    end_stop = end_start

    def end_prune(self, code, _text, _name, _value, _before, said):
        self.expect(code == "NOVA_OK", said)
        self.templates.clear()

    def hear_log(self, text, speaker):
        made = re.match(r"\d+ template: (\w+) was made", text)
        under_way = self.under_way.values()
        if made and not any(verb == "prune" for verb, *_ in under_way):
            _verb, name, *_ = self.under_way.get(speaker, (None, None))
            if name or not any(verb in ("register", "delete") for verb, *_ in under_way):
                self.templates[made.group(1)] = name
        elif "damaged" in text:
            raise Wrong(text)

    # --- what the next user finds

    def find(self, lines):
        """Compares with the lines of `victim check`, and knows better afterwards."""
        found, templates = {}, set()
        for line in lines:
            kind, _, rest = line.partition(" ")
            if kind == "template":
                templates.add(rest)
            elif kind in ("function", "snapshot"):
                name, answer = rest.split(" ", 1)
                found[name] = "keeps" if name == "keeps" else answer
            elif kind == "log":
                made = re.match(r"\d+ template: (\w+) was made", rest)
                if "damaged" in rest or made and made.group(1) in self.templates:
                    raise Wrong(f"for the next user: {rest}")
            else:
                raise Wrong(line)
        if not self.templates.keys() <= templates:
            raise Wrong(f"templates {self.templates.keys() - templates} are lost")
        for name in self.things.keys() | found.keys():
            if found.get(name) not in self.possible(name):
                raise Wrong(f"{name} is {found.get(name)}, not {self.possible(name)}")
        self.things = {name: {value} for name, value in found.items()}
        self.templates = dict.fromkeys(templates) | self.templates
        self.under_way.clear()
        self.wounded.clear()
