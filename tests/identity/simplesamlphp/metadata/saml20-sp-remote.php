<?php

// To SAML, a token endpoint is a service provider: what is for it names it as audience and as recipient.
foreach (file(getenv('STATE') . '/service-providers', FILE_IGNORE_NEW_LINES | FILE_SKIP_EMPTY_LINES) as $endpoint) {
    $metadata[$endpoint] = [
        'AssertionConsumerService' => $endpoint,
        'NameIDFormat' => 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
        'simplesaml.nameidattribute' => 'uid',
    ];
}
