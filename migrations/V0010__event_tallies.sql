-- What workers write is counted by them, a row a flush instead of a look at each event and at the record of its message.

alter table postroad.delivery_events add column is_tallied boolean not null default false;
comment on column postroad.delivery_events.is_tallied is 'Whether it is counted in event_tallies: count_events leaves it out.';

create table postroad.event_tallies (
  xid          bigint not null default txid_current(),
  at           timestamptz not null default clock_timestamp(),
  tenant_id    bigint,
  day          date not null,
  events       integer not null,
  channel      text collate "C" not null,
  gateway      text collate "C",
  message_type text collate "C" not null,
  source_type  text collate "C",
  event_type   text collate "C" not null
);
comment on table postroad.event_tallies is
'Events that complete wrote, by what they are counted by; count_events adds them to the counters and deletes them. Empty on a server that keeps up.';
comment on column postroad.event_tallies.day is 'The day (UTC) on which the messages were enqueued.';
comment on column postroad.event_tallies.channel is 'Empty when the record of the messages was gone; so is message_type.';
create index event_tallies_xid on postroad.event_tallies (xid);
comment on index postroad.event_tallies_xid is 'count_events: what it deleted it visits no more, however long a snapshot keeps it';
