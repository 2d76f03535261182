create or replace function postroad.latest_events(max_count integer default 30)
returns table (
  occurred_at timestamptz,
  message_id  uuid,
  event_type  text,
  attempt     smallint,
  gateway     text,
  reason      text,
  channel     text,
  priority    text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set timezone = 'UTC'
set jit = off
as $$
declare
  day date;
  part regclass;
  last_blocks tid;
  found_events postroad.delivery_events[] := '{}';
  of_part postroad.delivery_events[];
begin
  -- No index has events by their time. But a table that is only appended to has its latest rows in its last blocks.
  for n in 0..2 loop
    day := (clock_timestamp() at time zone 'UTC')::date - n;
    part := to_regclass('postroad.delivery_events_' || to_char(day, 'YYYYMMDD'));
    continue when part is null;
    last_blocks := format('(%s,0)', greatest(pg_relation_size(part) / current_setting('block_size')::bigint - 8, 0))::tid;
    execute format(
      'select array(select e from postroad.delivery_events as e where e.message_id >= %L and e.message_id < %L and e.ctid >= %L order by e.occurred_at desc limit %s)',
      postroad.uuid_at(day), postroad.uuid_at(day + 1), last_blocks, max_count)
    into of_part;
    found_events := found_events || of_part;
  end loop;
  return query
  select e.occurred_at, e.message_id, e.event_type, e.attempt, e.gateway, e.reason, m.channel, 'P' || m.priority
  from (select x.* from unnest(found_events) as x order by x.occurred_at desc limit max_count) as e
  left join lateral (select r.channel, r.priority from postroad.record_of(e.message_id) as r) as m on true
  order by e.occurred_at desc, e.event_id desc;
end;
$$;

comment on function postroad.latest_events is
$$The latest events, newest first, of messages of today (UTC) and the two days before; of very many in the same moment, some may be missing. Reads a few blocks, however many events
there are.$$;

revoke all on function postroad.latest_events from public;
grant execute on function postroad.latest_events to postroad_reader, postroad_admin;

create or replace function postroad.recent()
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
  return jsonb_build_object(
    'events', (select coalesce(jsonb_agg(to_jsonb(e)), '[]') from postroad.latest_events() as e),
    'failures', (
      select coalesce(jsonb_agg(to_jsonb(f) order by f.count desc, f.reason), '[]')
      from (
        select e.event_type, coalesce(e.reason, 'none') as reason, e.gateway, count(*), max(e.occurred_at) as last_at
        from (
          select x.event_type, x.reason, x.gateway, x.occurred_at
          from postroad.delivery_events as x
          where x.event_type in ('failed', 'bounced')
            and x.occurred_at > clock_timestamp() - interval '1 hour'
          order by x.occurred_at desc
          limit 2000
        ) as e
        group by 1, 2, 3
        order by 4 desc
        limit 12
      ) as f
    ),
    'minutes', (
      select coalesce(jsonb_agg(jsonb_build_array(extract(epoch from g.minute), g.sent, g.failed) order by g.minute), '[]')
      from (
        select m.minute, sum(m.sent) as sent, sum(m.failed) as failed
        from postroad.gateway_minutes as m
        where m.minute > clock_timestamp() - interval '1 hour'
        group by 1
      ) as g
    )
  );
end;
$$;

comment on function postroad.recent is
$$What the live page shows beside figures(): the latest events, the last hour's failures by reason (of the latest 2,000), and what gateways took and refused by minute.$$;

revoke all on function postroad.recent from public;
grant execute on function postroad.recent to postroad_reader, postroad_admin;
