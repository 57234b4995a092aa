-- Lets the statements behind it in its transaction be planned for their values: of the filters of
-- an audit log those that are given decide which index is read. In the order of that index, from
-- where the page begins: a bitmap would read every entry that matches, and then sort.
-- name: planForValues :one
select
    set_config('plan_cache_mode', 'force_custom_plan', true) as "mode!",
    set_config('enable_bitmapscan', 'off', true) as "bitmap_scan!";

-- A page of entries, newest first, between `after_id` and `before_id`, both excluded: at most
-- `page_size` and, the first apart, `bytes_max` bytes. `rows_read` says how many there would be
-- without the latter.
-- name: listAuditLogs :many
with page as (
    select
        -- part: entry_columns
        entry.id,
        entry.actor_type,
        entry.actor_id,
        entry.actor_label,
        entry.api_key_id,
        entry.action,
        entry.outcome,
        entry.reason,
        entry.resource_type,
        entry.resource_id,
        entry.project_id,
        entry.details::text as details_json,
        host(entry.ip_address) as ip_address,
        entry.user_agent,
        entry.request_id,
        entry.created_at
        -- end of entry_columns
    from audit_logs as entry
    where
        entry.organization_id = :organization_id
        and entry.id > :after_id
        and entry.id < :before_id
        and (:actor_id?::uuid is null or entry.actor_id = :actor_id?)
        and (:api_key_id?::uuid is null or entry.api_key_id = :api_key_id?)
        and (:action?::text is null or entry.action collate "C" = :action?)
        -- part: entry_filter
        and (:resource_type?::text is null or entry.resource_type = :resource_type?)
        and (:resource_id?::uuid is null or entry.resource_id = :resource_id?)
        and (:outcome?::text is null or entry.outcome = :outcome?)
        and (:from_time?::timestamptz is null or entry.created_at >= :from_time?)
        and (:until_time?::timestamptz is null or entry.created_at < :until_time?)
        -- end of entry_filter
    order by entry.id desc
    limit :page_size::bigint
),

sizes as (
    select
        page.id,
        -- part: entry_sizes
        row_number() over by_id as ordinal,
        count(*) over () as rows_read,
        sum(
            512 + octet_length(page.details_json) + octet_length(page.actor_label)
            + coalesce(octet_length(page.user_agent), 0)
        ) over by_id as size_bytes
        -- end of entry_sizes
    from page
    window by_id as (order by page.id desc)
)

select
    -- part: entry_page_columns
    page.id as "id!",
    page.actor_type as "actor_type!",
    page.actor_id as "actor_id?",
    page.actor_label as "actor_label!",
    page.api_key_id as "api_key_id?",
    page.action as "action!",
    page.outcome as "outcome!",
    page.reason as "reason?",
    page.resource_type as "resource_type!",
    page.resource_id as "resource_id?",
    page.project_id as "project_id?",
    page.details_json as "details_json!",
    page.ip_address as "ip_address?",
    page.user_agent as "user_agent?",
    page.request_id as "request_id?",
    page.created_at as "created_at!",
    sizes.rows_read as "rows_read!"
    -- end of entry_page_columns
from page
inner join sizes on page.id = sizes.id
where sizes.size_bytes <= :bytes_max::bigint or sizes.ordinal = 1
order by page.id desc;

-- The same of every action from `action_from` to before `action_before`, which are few: one after
-- the other is looked up, and each read in its index's order. A range of actions has no such order,
-- and the planner would look through the whole log for one that this organization seldom has.
-- name: listAuditLogsOfActions :many
with recursive named as (
    (
        select entry.action collate "C" as action  -- noqa: RF02, RF03
        from audit_logs as entry
        where
            entry.organization_id = :organization_id
            and entry.action collate "C" >= :action_from  -- noqa: RF02, RF03
            and entry.action collate "C" < :action_before  -- noqa: RF02, RF03
        order by entry.action collate "C"  -- noqa: RF02, RF03
        limit 1
    )
    union all
    select
        (
            select entry.action collate "C"  -- noqa: RF02, RF03
            from audit_logs as entry
            where
                entry.organization_id = :organization_id
                and entry.action collate "C" > named.action  -- noqa: RF02, RF03
                and entry.action collate "C" < :action_before  -- noqa: RF02, RF03
            order by entry.action collate "C"  -- noqa: RF02, RF03
            limit 1
        )
    from named
    where named.action is not null
),

-- Their ids alone: of every action's page most entries are left out in the end.
found as (
    select entry.id
    from named
    cross join
        lateral (
            select entry.id
            from audit_logs as entry
            where
                entry.organization_id = :organization_id
                and entry.action collate "C" = named.action  -- noqa: RF02, RF03
                and entry.id > :after_id
                and entry.id < :before_id
                and (:actor_id?::uuid is null or entry.actor_id = :actor_id?)
                and (:api_key_id?::uuid is null or entry.api_key_id = :api_key_id?)
                and part('entry_filter')
            order by entry.id desc
            limit :page_size::bigint
        ) as entry
    order by entry.id desc
    limit :page_size::bigint
),

page as (
    select part('entry_columns')
    from found
    inner join audit_logs as entry on found.id = entry.id
    where entry.organization_id = :organization_id
),

sizes as (
    select
        page.id,
        part('entry_sizes')
    from page
    window by_id as (order by page.id desc)
)

select part('entry_page_columns')
from page
inner join sizes on page.id = sizes.id
where sizes.size_bytes <= :bytes_max::bigint or sizes.ordinal = 1
order by page.id desc;

-- All of these, oldest first: a whole export reads each entry once, whatever the index.
-- name: exportAuditLogs :many
with page as (
    select part('entry_columns')
    from audit_logs as entry
    where
        entry.organization_id = :organization_id
        and entry.id > :after_id
        and entry.id < :before_id
        and (:actor_id?::uuid is null or entry.actor_id = :actor_id?)
        and (:api_key_id?::uuid is null or entry.api_key_id = :api_key_id?)
        and (:action?::text is null or entry.action collate "C" = :action?)
        and (:action_from?::text is null or entry.action collate "C" >= :action_from?)
        and (:action_before?::text is null or entry.action collate "C" < :action_before?)
        and part('entry_filter')
    order by entry.id
    limit :page_size::bigint
),

sizes as (
    select
        page.id,
        part('entry_sizes')
    from page
    window by_id as (order by page.id)
)

select part('entry_page_columns')
from page
inner join sizes on page.id = sizes.id
where sizes.size_bytes <= :bytes_max::bigint or sizes.ordinal = 1
order by page.id;
