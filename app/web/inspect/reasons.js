// Why was I disconnected? The reasons of app/README.md, in words for the one who
// asks and for the one who has to answer. A test compares the names.

export const reasons = {
  peer_closed: 'The client said goodbye.',
  peer_gone: 'The client went without a goodbye: end of file or a reset. A closed '
    + 'laptop, a lost network, a killed process.',
  no_sign_of_life: 'Nothing was read from it for --idle-timeout.',
  no_pong: 'It did not answer a ping of its dialect within --pong-timeout.',
  write_stalled: 'It took nothing of what waited for it for --write-timeout.',
  slow_consumer: 'It read slower than its rooms speak: more than '
    + '--member-outbound-max was under way to it.',
  overloaded: 'The broker was full (--process-outbound-max) and it lagged.',
  rate_limited: 'It sent more than --messages-per-second or --bytes-per-second.',
  message_too_big: 'It sent a message over --message-max.',
  protocol_error: 'It broke the WebSocket framing.',
  bad_deflate: 'It sent a compressed message that cannot be inflated.',
  bad_utf8: 'It sent a text message that is not UTF-8.',
  unsupported_data: 'It sent a kind of message its dialect has no use for.',
  bad_command: 'It sent a command its dialect does not allow.',
  too_many_errors: 'It sent nothing but commands that were refused.',
  read_only: 'It sent something into a read-only room.',
  kicked: 'An operator or the application ended it.',
  shutdown: 'The broker was shut down.',
  room_closed: 'Its room was closed or quarantined.',
  fault: 'An exception in the broker: a fault of ours.',
  stale: 'It sent no greeting within --greeting-timeout.',
  out_of_step: 'The audit found that it may miss messages: a fault of ours. It was '
    + 'sent back to join again.',
};
