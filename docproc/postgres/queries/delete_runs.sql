-- The ledger stays: its calls no longer name a run.
DELETE FROM docproc.runs WHERE run_id = ANY (%(run_ids)s::uuid[])
