<?php

// To SAML, a token endpoint is a service provider: what is for it names it as audience and, by where it would be
// posted to, as recipient.
foreach (file(getenv('STATE') . '/service-providers', FILE_IGNORE_NEW_LINES | FILE_SKIP_EMPTY_LINES) as $line) {
    [$audience, $recipient, $lifetime] = explode(' ', $line);
    $metadata[$audience] = [
        'AssertionConsumerService' => $recipient,
        'NameIDFormat' => 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
        'simplesaml.nameidattribute' => 'uid',
        'assertion.lifetime' => (int) $lifetime,
    ];
}
