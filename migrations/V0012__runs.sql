-- A bulk send queues its messages by the sixteen: a row of the queue, with two entries in its indexes, is what a message costs most when it is enqueued, and again when it is claimed.

alter table postroad.message_queue add column more_ids uuid[];
comment on column postroad.message_queue.more_ids is
'More messages of the same bulk send that wait with it, in their order, at most 15; null: it alone. See postroad.queue_row_of.';
comment on column postroad.message_queue.seq is 'The order of claims, from the sequence of the priority; of a row of several messages, the place of the last of them.';
comment on column postroad.message_queue.size_kb is 'Size of the message in KiB, at most 32767; of each, where there are more: a claim is bounded in bytes too.';
comment on table postroad.message_queue is 'Messages that may be sent now: inserted, claimed by a delete, never updated. Those of a bulk send are up to sixteen a row.';
