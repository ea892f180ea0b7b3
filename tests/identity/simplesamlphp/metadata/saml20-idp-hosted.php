<?php

$metadata[getenv('ISSUER')] = [
    'host' => '__DEFAULT__',
    'privatekey' => 'saml.key',
    'certificate' => 'saml.pem',
    'auth' => 'users',
    'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    // The assertion travels on without the response around it.
    'saml20.sign.assertion' => true,
    'saml20.sign.response' => false,
];
