-- Bounds the statements behind it in the transaction, and lets them be planned for their values.
-- name: limitSearch :one
select
    set_config('statement_timeout', :milliseconds, true) as "statement_timeout!",
    set_config('plan_cache_mode', 'force_custom_plan', true) as "plan_cache_mode!",
    set_config('jit', 'off', true) as "jit!";
