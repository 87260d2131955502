-- The submit before this one has no known end: its job was looked for and not found, but may have been made all the same.
WITH before AS (
  UPDATE docproc.api_calls a SET outcome = 'uncertain', finished_at = clock_timestamp()
    FROM docproc.parse_calls p
   WHERE p.parse_call_id = %(parse_call_id)s AND a.call_id = p.call_id AND a.outcome = 'open'
)
UPDATE docproc.parse_calls SET call_id = %(call_id)s WHERE parse_call_id = %(parse_call_id)s
