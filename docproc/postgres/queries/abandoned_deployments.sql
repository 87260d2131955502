-- Whoever has the turn is the only deploy: what is open now was killed.
UPDATE docproc.deployments SET outcome = 'failed', stopped_at = 'killed', finished_at = clock_timestamp()
 WHERE outcome = 'open'
RETURNING version, started_at
