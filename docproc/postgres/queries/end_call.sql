-- What the provider reports wins over what was estimated; what it refused costs nothing; else the reserve stands.
UPDATE docproc.api_calls
   SET outcome = %(outcome)s, code = %(code)s, units_reported = %(units_reported)s::bigint, request_id = %(request_id)s,
       finished_at = clock_timestamp(), usd_reported = %(units_reported)s::bigint * usd_per_unit,
       shares = CASE WHEN %(units_reported)s::bigint <> units_estimated
                     THEN docproc.divided(%(units_reported)s::bigint, shares) ELSE shares END,
       usd_counted = CASE WHEN %(outcome)s::text = 'refused' THEN 0
                          ELSE coalesce(%(units_reported)s::bigint * usd_per_unit, usd_counted) END
 WHERE call_id = %(call_id)s
RETURNING units_estimated, units_reported
