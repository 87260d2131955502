-- Only of the submit that was refused: meanwhile another process may have sent one of its own.
WITH it AS (
  UPDATE docproc.parse_calls
     SET state = %(state)s, submits = greatest(submits - 1, 0), submitting_at = NULL, updated_at = clock_timestamp()
   WHERE parse_call_id = %(parse_call_id)s AND state = 'submitting' AND submits = %(submits)s
  RETURNING call_id
)
UPDATE docproc.api_calls a SET outcome = 'refused', code = %(code)s, usd_counted = 0, finished_at = clock_timestamp()
  FROM it WHERE a.call_id = it.call_id
