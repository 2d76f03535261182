create or replace function postroad.enqueue_bulk_from(
  channel         text,
  recipients      regclass,
  subject         text default null,
  body            text default null,
  html            text default null,
  template        text default null,
  data            jsonb default null,
  locale          text default null,
  message_type    text default 'campaign',
  priority        text default null,
  scheduled_for   timestamptz default null,
  expires_at      timestamptz default null,
  idempotency_key text default null,
  source_type     text default null,
  source_id       bigint default null,
  tenant_id       bigint default null,
  ip_pool         text default null,
  gateway         text default null,
  options         jsonb default null,
  out batch_id    uuid,
  out queued      integer,
  out suppressed  integer,
  out invalid     integer,
  out duplicate   integer,
  out reason      text
)
language plpgsql
security invoker                                 -- it reads a table of the caller's
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set jit = off
set enable_seqscan = off                         -- a slice is read by its pages, whatever the planner thinks of a table never analysed
as $$
declare
  p smallint;
  verdict text;
  columns jsonb;
  parts record;
  slice_pages integer;
begin
  select jsonb_object_agg(a.attname, a.atttypid::regtype) into columns
  from pg_attribute as a
  where a.attrelid = recipients and a.attnum > 0 and not a.attisdropped;
  -- The table, its partitions and its heirs.
  with recursive part as (
    select recipients::oid as id
    union all
    select i.inhrelid from part, pg_inherits as i where i.inhparent = part.id
  )
  select bool_and(c.relkind in ('r', 'p', 'm')) as are_tables, max(pg_relation_size(part.id)) / current_setting('block_size')::integer as pages,
    sum(pg_relation_size(part.id)) / current_setting('block_size')::integer as all_pages, sum(pg_table_size(part.id)) as bytes,
    count(*) filter (where c.relkind <> 'p') as count
  into parts
  from part
  join pg_class as c on c.oid = part.id;
  if parts.are_tables is not true then
    raise exception '% is not a table', coalesce(recipients::text, 'null')
      using errcode = 'PR001', hint = 'Make a temporary table of it: create temporary table … as select …';
  end if;
  if (columns ? 'address') is not true then
    raise exception 'table % has no column address', recipients
      using errcode = 'PR001', hint = 'Columns: address text, and if wanted id bigint, type text, data jsonb, locale text.';
  end if;
  queued := 0;
  suppressed := 0;
  invalid := 0;
  duplicate := 0;
  select b.batch_id, b.priority_number, b.verdict, b.reason into batch_id, p, verdict, reason
  from postroad.begin_bulk(channel, subject, body, html, template, data, message_type, priority, scheduled_for, expires_at,
    idempotency_key, tenant_id, options,
    case when idempotency_key is not null then jsonb_build_array(
      recipients::text, locale, source_type, source_id, ip_pool, gateway) end) as b;
  if verdict is not null then
    if verdict = 'duplicate' then
      execute format('select count(*) from %s', recipients) into duplicate;
    else
      execute format('select count(*) from %s', recipients) into invalid;
    end if;
    return;
  end if;

  -- Slices of so many pages that one holds some 1 MiB, out of line values included: neither arrays nor sorts grow with the table, and their memory stays the process's own from one slice to the next (at 4 MiB it was asked for and given back each time: a fifth slower).
  slice_pages := greatest(least(1024 * 1024 / greatest(parts.bytes / greatest(parts.all_pages, 1), 1), 256) / greatest(parts.count, 1), 1);
  -- One statement, and so one snapshot: a row that somebody moves meanwhile is not seen twice. An address that is twice in the table is sent
  -- to once: a narrow pass finds the keys that repeat (usually none), and only then another one looks for the rows to pass over.
  execute format($q$
    with repeated as materialized (
      select %1$s as key from %2$s as t where t.address is not null group by 1 having count(*) > 1
    ), copy as materialized (
      select n.part, n.place, (n.place::text::point)[0]::bigint / $1 as slice
      from (
        select t.tableoid as part, t.ctid as place, a.address,
          row_number() over (partition by a.address order by t.tableoid, t.ctid) as nth
        from %2$s as t, lateral (select postroad.normalize_recipient($3, t.address::text) offset 0) as a (address)
        where exists (select from repeated)      -- else the table is not read for it
          and %1$s in (select r.key from repeated as r)
          and %3$s
      ) as n
      where n.nth > 1
        and n.address is not null
    ), done as (
      select e.*
      from generate_series(0, $2) as s (slice),
      lateral (
        select array_agg(case when %3$s then t.address::text end) as addresses, array_agg(%4$s) as ids, array_agg(%5$s) as types,
          array_agg(%6$s) as locales, array_agg(%7$s) as data
        from %2$s as t
        where t.ctid >= ('(' || s.slice * $1 || ',0)')::tid
          and t.ctid < case when s.slice < $2 then '(' || (s.slice + 1) * $1 || ',0)' else '(4294967295,0)' end::tid
          and (t.tableoid, t.ctid) not in (select c.part, c.place from copy as c where c.slice = s.slice)
      ) as r,
      lateral postroad.enqueue_rows($4, $3, r.addresses, r.ids, r.types, r.locales, r.data, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) as e
      where r.addresses is not null
    )
    select coalesce(sum(d.queued), 0), coalesce(sum(d.suppressed), 0), coalesce(sum(d.invalid), 0),
      coalesce(sum(d.duplicate), 0) + (select count(*) from copy)
    from done as d
  $q$,
    'hashtextextended(' || case                  -- equal for addresses that are one when normalised
      when channel = 'email' then $e$lower(btrim(t.address::text, E' \t\r\n') collate "C")$e$
      when channel in ('sms', 'voice') then $e$regexp_replace(regexp_replace(t.address::text, '[ ().-]', '', 'g'), '^00', '+')$e$
      else 'btrim(t.address::text)'
    end || ', 0)',
    recipients,
    case
      when columns ->> 'id' in ('smallint', 'integer', 'bigint') or not columns ? 'id' then 'true'
      else 'postroad.is_bigint(t.id::text)'
    end || case
      when columns ->> 'data' = 'jsonb' or not columns ? 'data' then ''
      else ' and postroad.is_jsonb(t.data::text)'
    end,
    case
      when not columns ? 'id' then 'null::bigint'
      when columns ->> 'id' in ('smallint', 'integer', 'bigint') then 't.id::bigint'
      else 'case when postroad.is_bigint(t.id::text) then t.id::text::bigint end'
    end,
    case when columns ? 'type' then 't.type::text' else 'null::text' end,
    case when columns ? 'locale' then 't.locale::text' else 'null::text' end,
    case
      when not columns ? 'data' then 'null::jsonb'
      when columns ->> 'data' = 'jsonb' then 't.data'
      else 'case when postroad.is_jsonb(t.data::text) then t.data::text::jsonb end'
    end)
  into queued, suppressed, invalid, duplicate
  using slice_pages, (parts.pages - 1) / slice_pages, channel, batch_id, message_type, p, scheduled_for, expires_at, source_type, source_id, tenant_id,
    ip_pool, gateway, locale;
end;
$$;

comment on function postroad.enqueue_bulk_from is
$$postroad.enqueue_bulk with the recipients in a table (temporary ones too) of the caller's, of any size: columns address, and if wanted id, type, data, locale.
The fastest way in, and the one beyond the 256 MB that jsonb holds. An idempotency key stands for the call and the table's name, not for its rows.
A row whose data is text and no JSON is invalid. It is read in slices of some 1 MiB, so that memory does not grow with it. Raises PR001 when it is not a table or has no column address, and what enqueue raises.$$;

revoke all on function postroad.enqueue_bulk_from from public;
grant execute on function postroad.enqueue_bulk_from to postroad_sender;
