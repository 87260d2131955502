INSERT INTO docproc.api_calls (run_id, provider, operation, job_ids, unit, units_estimated, inputs)
VALUES ((SELECT run_id FROM docproc.runs WHERE run_id = %(run_id)s), %(provider)s, %(operation)s, %(job_ids)s::uuid[], %(unit)s, %(units_estimated)s, %(inputs)s)
RETURNING call_id
