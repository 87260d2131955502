-- What the service says a parse cost is known only when its result is fetched.
WITH it AS (
  UPDATE docproc.parse_calls
     SET state = 'collected', pages = %(pages)s, credits = %(credits)s, updated_at = clock_timestamp()
   WHERE parse_call_id = %(parse_call_id)s
  RETURNING call_id
)
UPDATE docproc.api_calls a SET outcome = 'ok', units_reported = %(pages)s FROM it WHERE a.call_id = it.call_id
