-- An answer that comes late, after the call was settled by others or given up, changes nothing.
WITH it AS (
  UPDATE docproc.parse_calls
     SET state = 'submitted', external_id = %(external_id)s, submitted_at = clock_timestamp(),
         updated_at = clock_timestamp()
   WHERE parse_call_id = %(parse_call_id)s AND client_ref = %(client_ref)s AND state = 'submitting'
  RETURNING call_id
)
UPDATE docproc.api_calls a SET outcome = 'accepted', request_id = %(external_id)s, finished_at = clock_timestamp()
  FROM it WHERE a.call_id = it.call_id
