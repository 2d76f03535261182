create or replace function postroad.http_queue_stats(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  body := postroad.request_problem('GET', '/messages/stats/queue', call);
  if body is not null then
    status := 400;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('priorities', (
    select jsonb_agg(jsonb_build_object('priority', q.priority, 'ready', q.ready, 'oldest_at', q.oldest_at,
      'oldest_age_seconds', extract(epoch from q.oldest_age), 'overdue', coalesce(q.overdue, false), 'scheduled', q.scheduled, 'parked', q.parked,
      'processing', q.processing, 'paused', q.paused) order by q.priority)
    from postroad.queue_stats as q
  ));
end;
$$;

comment on function postroad.http_queue_stats is 'GET /messages/stats/queue: the view queue_stats.';

revoke all on function postroad.http_queue_stats from public;
grant execute on function postroad.http_queue_stats to postroad_http;

create or replace function postroad.http_channel_stats(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  body := postroad.request_problem('GET', '/messages/stats/channels', call);
  if body is not null then
    status := 400;
    return;
  end if;
  status := 200;
  body := jsonb_build_object('channels', (
    select jsonb_agg(jsonb_build_object(
      'channel', c.channel,
      'gateways', (select coalesce(jsonb_agg(h.gateway order by h.position, h.gateway), '[]') from postroad.channel_health as h where h.channel = c.channel),
      'sent_1h', coalesce(x.sent, 0),
      'failed_1h', coalesce(x.failed, 0),
      'paused', (select p.reason from postroad.pauses as p where p.scope = 'channel' and p.key = c.channel)) order by c.nth)
    from unnest('{email,sms,push,voice,in_app,webhook}'::text[]) with ordinality as c (channel, nth)
    left join (
      select g.channel, sum(g.sent) as sent, sum(g.failed) as failed
      from postroad.gateway_minutes as g
      where g.minute >= clock_timestamp() - interval '1 hour'
      group by g.channel
    ) as x on x.channel = c.channel
  ));
end;
$$;

comment on function postroad.http_channel_stats is
'GET /messages/stats/channels: what the gateways of each channel answered in the last hour, from the rows that workers write each minute.';

revoke all on function postroad.http_channel_stats from public;
grant execute on function postroad.http_channel_stats to postroad_http;

select postroad.put_route('GET', '/messages/stats/queue', 'http_queue_stats', '{reader,admin}', 'What waits, by priority',
  cost => 5,
  tenants => false,
  response => '{"type": "object", "required": ["priorities"], "properties": {"priorities": {"type": "array", "items": {
    "type": "object",
    "required": ["priority", "ready", "overdue", "scheduled", "parked", "processing"],
    "properties": {
      "priority": {"type": "string", "enum": ["P0", "P1", "P2", "P3", "P4"]},
      "ready": {"type": "integer", "description": "Exact below 10,000."},
      "oldest_at": {"type": ["string", "null"], "format": "date-time"},
      "oldest_age_seconds": {"type": ["number", "null"]},
      "overdue": {"type": "boolean"},
      "scheduled": {"type": "integer", "description": "Counted up to 10,000, which stands for that many or more."},
      "parked": {"type": "integer", "description": "Counted as scheduled."},
      "processing": {"type": "integer"},
      "paused": {"type": ["string", "null"], "description": "Why it is paused."}
    }}}}}');

select postroad.put_route('GET', '/messages/stats/channels', 'http_channel_stats', '{reader,admin}', 'What the gateways of each channel answered in the last hour',
  cost => 5,
  tenants => false,
  response => '{"type": "object", "required": ["channels"], "properties": {"channels": {"type": "array", "items": {
    "type": "object",
    "required": ["channel", "gateways", "sent_1h", "failed_1h"],
    "properties": {
      "channel": {"type": "string"},
      "gateways": {"type": "array", "items": {"type": "string"}},
      "sent_1h": {"type": "integer"},
      "failed_1h": {"type": "integer"},
      "paused": {"type": ["string", "null"], "description": "Why it is paused."}
    }}}}}');
