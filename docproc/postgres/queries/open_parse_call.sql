WITH opened AS (
  INSERT INTO docproc.api_calls (call_id, run_id, provider, operation, job_ids, unit)
  VALUES (%(call_id)s, (SELECT run_id FROM docproc.runs WHERE run_id = %(run_id)s), 'llamaparse', 'parse',
          ARRAY[%(job_id)s]::uuid[], 'page')
  RETURNING call_id
)
UPDATE docproc.parse_calls SET call_id = (SELECT call_id FROM opened) WHERE parse_call_id = %(parse_call_id)s
