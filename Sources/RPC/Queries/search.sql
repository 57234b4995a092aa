-- Bounds the statements behind it in the transaction, and lets them be planned for their values.
-- The memory is for sets of ids: one of a million, as many as it is ever thought to have, fits.
-- name: limitSearch :one
select
    set_config('statement_timeout', :milliseconds, true) as "statement_timeout!",
    set_config('plan_cache_mode', 'force_custom_plan', true) as "plan_cache_mode!",
    set_config('work_mem', '32MB', true) as "work_mem!",
    set_config('jit', 'off', true) as "jit!";
