"""What every `--json` answers, as JSON Schemas: the names of the answers and the shape of each.

`answers.schema.json` beside this file holds all of them, made of the shapes here by `python -m harness.answers`.
"""
