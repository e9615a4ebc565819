"""The stack's state: sound before anything is changed, kept as dated copies, and put back by one command.

`checkpoint` reads it and says what is wrong with it, `backups` keeps copies, `guard` holds both against each other,
`replace` puts a copy in its place, `cli` is `fleet state`. Refuses to mend a state by guessing: what a copy does not hold,
recovery looks up in the cloud (`fleet.recovery`).
"""
