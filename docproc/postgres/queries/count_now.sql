-- The counters are written now, not at COMMIT, and held until then: what is read after this nobody else changes.
SET CONSTRAINTS docproc.api_calls_counted IMMEDIATE
