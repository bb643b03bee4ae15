"""Run folders: written, resumed, held beside an earlier one."""
