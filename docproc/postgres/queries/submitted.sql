WITH it AS (
  UPDATE docproc.parse_calls
     SET state = 'submitted', external_id = %(external_id)s, submitted_at = clock_timestamp(),
         updated_at = clock_timestamp()
   WHERE parse_call_id = %(parse_call_id)s
  RETURNING call_id
)
UPDATE docproc.api_calls a SET outcome = 'accepted', request_id = %(external_id)s, finished_at = clock_timestamp()
  FROM it WHERE a.call_id = it.call_id
