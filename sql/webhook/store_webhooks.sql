create or replace function postroad.store_webhooks(
  gateways      text[],
  delivery_keys text[],
  replay_keys   text[],
  queries       text[],
  content_types text[],
  bodies        bytea[]
)
returns table (place integer, verdict text, batch_id bigint, inbox_id bigint, received_at timestamptz)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  given integer := cardinality(gateways);
  stored bigint[];
  batches bigint[];                              -- the batch of each
begin
  if cardinality(delivery_keys) <> given or cardinality(replay_keys) <> given or cardinality(queries) <> given
    or cardinality(content_types) <> given or cardinality(bodies) <> given
  then
    raise exception 'each array needs one element a request'
      using errcode = 'PR001';
  end if;
  with inserted as (
    insert into postroad.webhook_inbox as i (gateway, delivery_key, replay_key, query, content_type, body)
    select u.gateway, u.delivery_key, u.replay_key, u.query, u.content_type, u.body
    from unnest(gateways, delivery_keys, replay_keys, queries, content_types, bodies) with ordinality
      as u (gateway, delivery_key, replay_key, query, content_type, body, place)
    order by u.gateway, u.delivery_key, u.place    -- two nodes that store the same keys do not wait for each other in a circle
    on conflict do nothing
    returning i.inbox_id, i.gateway
  ), batched as (
    insert into postroad.webhook_batches as b (gateway, inbox_ids)
    select n.gateway, array_agg(n.inbox_id)
    from inserted as n
    group by n.gateway
    returning b.batch_id, b.gateway
  )
  select array_agg(n.inbox_id), array_agg(b.batch_id) into stored, batches
  from inserted as n
  join batched as b using (gateway);
  -- In a snapshot of its own: what another node stored meanwhile is seen.
  return query
    with arrived as materialized (
      select u.place::integer, u.gateway, u.delivery_key, u.replay_key, u.body,
        row_number() over (partition by u.gateway, u.delivery_key order by u.place) = 1 as is_first
      from unnest(gateways, delivery_keys, replay_keys, bodies) with ordinality as u (gateway, delivery_key, replay_key, body, place)
    )
    select a.place,
      case
        when i.inbox_id is null then 'replayed'
        when n.batch_id is not null then 'stored'
        when a.replay_key = i.replay_key and a.body <> i.body then 'replayed'   -- a token that does not cover the body vouched for another one
        else 'duplicate'
      end,
      n.batch_id, i.inbox_id, i.received_at
    from arrived as a
    left join lateral (                            -- by its index, also with a plan that was made when the table was empty
      select x.inbox_id, x.received_at, x.replay_key, x.body
      from postroad.webhook_inbox as x
      where x.gateway = a.gateway
        and x.delivery_key = a.delivery_key
      limit 1
    ) as i on true
    left join unnest(stored, batches) as n (inbox_id, batch_id)
      on n.inbox_id = i.inbox_id and a.is_first
    order by a.place;
end;
$$;

comment on function postroad.store_webhooks is
$$Stores verified requests, one element of each array a request, and says of each, in the order given: stored (with its batch, which waits to be read), duplicate (a
delivery_key that is there already, also twice in the call), or replayed (another delivery, or another body, under a replay_key that was used).$$;

revoke all on function postroad.store_webhooks from public;
grant execute on function postroad.store_webhooks to postroad_webhook;
