-- The id is made by the caller, so that a second try after a lost answer is the same row.
INSERT INTO docproc.api_calls (call_id, run_id, provider, operation, job_ids, unit, units_estimated, inputs)
VALUES (%(call_id)s, (SELECT run_id FROM docproc.runs WHERE run_id = %(run_id)s), %(provider)s, %(operation)s,
        %(job_ids)s::uuid[], %(unit)s, %(units_estimated)s, %(inputs)s)
ON CONFLICT (call_id) DO NOTHING
