UPDATE docproc.api_calls
   SET outcome = %(outcome)s, units_reported = %(units_reported)s, request_id = %(request_id)s,
       finished_at = clock_timestamp()
 WHERE call_id = %(call_id)s
